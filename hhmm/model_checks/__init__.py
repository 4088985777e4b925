"""Check a fitted model: does it reproduce the data, and what do its states stand for?

`posterior_predictive_check` compares the data with data simulated from the model. `state_report`
counts who uses each state, and says if states stand for animals and not for behaviour.
"""

from hhmm.model_checks._predictive import PredictiveCheck, posterior_predictive_check
from hhmm.model_checks._state_report import StateReport, state_report

__all__ = ["PredictiveCheck", "StateReport", "posterior_predictive_check", "state_report"]
