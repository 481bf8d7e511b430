"""One job from the notebook: checked, sent, followed, waited for."""
