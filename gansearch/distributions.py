"""The domains of a space as Optuna knows them."""

from optuna.distributions import BaseDistribution, json_to_distribution

from gansearch.run.domain import Domain


def distribution(domain: Domain) -> BaseDistribution:
    """Returns the Optuna distribution of a domain."""
    return json_to_distribution(domain.model_dump_json())
