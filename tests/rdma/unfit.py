"""Why this machine cannot run the guest."""


class Unfit(Exception):
    """Its text is one line for the user: what is missing, and what helps."""
