"""The published card-fraud simulator (Fraud Detection Handbook), from its description and vectorised.

Three pure steps, each with a random stream of its own, so that the same seed gives the same transactions to the byte:
profiles (who lives where, and spends how much), transactions (when, where, how much), fraud scenarios (what is stolen).
Money is in whole cents from the start; times are seconds since the first midnight.
"""

import dataclasses
import datetime

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

DAY_S = 86_400
GRID_SIDE = 100.0
PURCHASE_RADIUS = 5.0
STOLEN_CARD_CENTS = 22_000
TERMINALS_A_DAY, TERMINAL_DAYS = 2, 28
CUSTOMERS_A_DAY, CUSTOMER_DAYS = 3, 14
CUSTOMER_SHARE, CUSTOMER_FACTOR = 3, 5

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


class Simulation(BaseModel):
    """The size of a simulation; the defaults are the published ones and give about 1.75 million transactions."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seed: int = Field(default=0, ge=0)
    customers: int = Field(default=5_000, ge=1)
    terminals: int = Field(default=10_000, ge=TERMINALS_A_DAY)
    first_day: datetime.date = datetime.date(2018, 4, 1)
    days: int = Field(default=183, ge=1)


@dataclasses.dataclass(frozen=True, slots=True)
class Profiles:
    """Customers' habits, and the terminals in reach of customer c: `reachable[first[c]:first[c + 1]]`."""

    mean_cents: Floats
    transactions_a_day: Floats
    reachable: Ints
    first: Ints


@dataclasses.dataclass(frozen=True, slots=True)
class Purchases:
    """One array for each column, in order of time; a transaction's id is its position."""

    second: Ints
    customer: Ints
    terminal: Ints
    cents: Ints

    @property
    def day(self) -> Ints:
        """Days since the first midnight."""
        return self.second // DAY_S


def simulate(simulation: Simulation) -> pl.DataFrame:
    """All transactions in order of time, with `is_fraud` and `scenario` (0 genuine, else the last that struck)."""
    profiles_rng, purchases_rng, fraud_rng = np.random.default_rng(simulation.seed).spawn(3)
    profiles = draw_profiles(profiles_rng, simulation.customers, simulation.terminals)
    purchases = draw_purchases(purchases_rng, profiles, simulation.days)
    cents, scenario = commit_fraud(fraud_rng, purchases, simulation)
    midnight = np.datetime64(simulation.first_day, "s")
    return pl.DataFrame(
        {
            "transaction_id": np.arange(len(cents), dtype=np.int64),
            "tx_datetime": (midnight + purchases.second.astype("timedelta64[s]")).astype("datetime64[ms]"),
            "customer_id": purchases.customer,
            "terminal_id": purchases.terminal,
            "amount_cents": cents,
            "is_fraud": scenario > 0,
            "scenario": scenario,
        }
    )


def draw_profiles(rng: np.random.Generator, customers: int, terminals: int) -> Profiles:
    """Place customers and terminals on the grid, and give each customer a mean amount and a daily rate."""
    homes = rng.uniform(0, GRID_SIDE, (customers, 2))
    mean_cents = rng.uniform(5, 100, customers) * 100
    rate = rng.uniform(0, 4, customers)
    places = rng.uniform(0, GRID_SIDE, (terminals, 2))
    near = [np.flatnonzero(((places - home) ** 2).sum(axis=1) < PURCHASE_RADIUS**2) for home in homes]
    first = np.concatenate([[0], np.cumsum([len(terminal) for terminal in near])]).astype(np.int64)
    return Profiles(mean_cents, rate, np.concatenate(near).astype(np.int64), first)


def draw_purchases(rng: np.random.Generator, profiles: Profiles, days: int) -> Purchases:
    """Draw each customer's transactions of each day; who has no terminal in reach buys nothing."""
    reach = np.diff(profiles.first)
    rate = np.where(reach > 0, profiles.transactions_a_day, 0.0)
    counts = rng.poisson(np.repeat(rate, days))
    customer = np.repeat(np.repeat(np.arange(len(rate)), days), counts)
    day = np.repeat(np.tile(np.arange(days), len(rate)), counts)
    second_of_day = rng.normal(DAY_S / 2, 20_000, len(customer)).astype(np.int64)
    cents = _draw_cents(rng, profiles.mean_cents[customer])
    terminal = profiles.reachable[profiles.first[customer] + rng.integers(0, np.maximum(reach[customer], 1))]
    second = day * DAY_S + second_of_day
    inside = np.flatnonzero((second_of_day > 0) & (second_of_day < DAY_S))
    order = inside[np.argsort(second[inside], kind="stable")]
    return Purchases(second[order], customer[order], terminal[order], cents[order])


def _draw_cents(rng: np.random.Generator, mean_cents: Floats) -> Ints:
    drawn = rng.normal(mean_cents, mean_cents / 2)
    redrawn = rng.uniform(0, 2 * mean_cents)
    return np.rint(np.where(drawn < 0, redrawn, drawn)).astype(np.int64)


def commit_fraud(rng: np.random.Generator, purchases: Purchases, simulation: Simulation) -> tuple[Ints, Ints]:
    """The amounts and scenarios after (1) stolen large sums, (2) compromised terminals, (3) compromised customers."""
    scenario = np.where(purchases.cents > STOLEN_CARD_CENTS, 1, 0).astype(np.int64)
    terminals = _chosen_each_day(rng, simulation.days, simulation.terminals, TERMINALS_A_DAY)
    customers = _chosen_each_day(rng, simulation.days, simulation.customers, CUSTOMERS_A_DAY)
    scenario[_compromised(purchases.terminal, purchases.day, terminals, simulation.terminals)] = 2
    return _inflate(rng, purchases, scenario, customers, simulation.customers)


def _chosen_each_day(rng: np.random.Generator, days: int, population: int, chosen: int) -> Ints:
    """A row of `chosen` different members for each day."""
    size = min(chosen, population)
    return np.stack([rng.choice(population, size, replace=False) for _ in range(days)]).astype(np.int64)


def _compromised(terminal: Ints, day: Ints, chosen: Ints, terminals: int) -> NDArray[np.bool_]:
    """Which purchases are at a terminal that was chosen on their day or on one of the 27 days before it."""
    state = np.zeros((len(chosen), terminals), dtype=np.bool_)
    for start, struck in enumerate(chosen):
        state[start : start + TERMINAL_DAYS, struck] = True
    return state[day, terminal]


def _inflate(
    rng: np.random.Generator, purchases: Purchases, scenario: Ints, chosen: Ints, customers: int
) -> tuple[Ints, Ints]:
    """Multiply a third of the transactions of each day's chosen customers in the days that follow; mark them fraud."""
    cents, day = purchases.cents.copy(), purchases.day
    by_customer = np.argsort(purchases.customer, kind="stable")
    first = np.searchsorted(purchases.customer[by_customer], np.arange(customers + 1))
    for start, struck in enumerate(chosen):
        theirs = np.concatenate([by_customer[first[customer] : first[customer + 1]] for customer in struck])
        theirs = theirs[(day[theirs] >= start) & (day[theirs] < start + CUSTOMER_DAYS)]
        stolen = rng.choice(theirs, len(theirs) // CUSTOMER_SHARE, replace=False) if len(theirs) else theirs
        cents[stolen] *= CUSTOMER_FACTOR
        scenario[stolen] = 3
    return cents, scenario
