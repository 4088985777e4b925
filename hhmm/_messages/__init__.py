"""Message passing: one backend a file, all with the signatures of `sequential`.

A backend provides, for emission factors, transition probabilities and packed
sequences:

====================  =====================================================
``forward_filter``    p(z[t] | x[1..t]) and log p(x[t] | x[1..t-1])
``smooth``            p(z[t] | x)
``sample``            one draw of all states from their posterior, log p(x)
``viterbi``           the most probable states
====================  =====================================================
"""

from hhmm._messages import sequential

BACKENDS = {"sequential": sequential}


def get_backend(message_passing):
    """The backend module of that name; "auto" takes the best one there is."""
    return BACKENDS["sequential" if message_passing == "auto" else message_passing]
