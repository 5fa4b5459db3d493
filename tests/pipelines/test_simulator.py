"""The simulator is the published one: its size, its fraud, its scenarios; and the same seed gives the same bytes."""

import datetime
import hashlib

import numpy as np
import polars as pl
import pytest

from pipelines import simulator
from pipelines.simulator import Simulation, commit_fraud, draw_profiles, draw_purchases, simulate

SMALL = Simulation(seed=7, customers=60, terminals=80, days=40)


@pytest.fixture(scope="module")
def small():
    rng, purchases_rng, _ = np.random.default_rng(SMALL.seed).spawn(3)
    profiles = draw_profiles(rng, SMALL.customers, SMALL.terminals)
    return profiles, draw_purchases(purchases_rng, profiles, SMALL.days)


@pytest.fixture(scope="module")
def published():
    return simulate(Simulation())


def test_the_published_size_and_share_of_fraud_come_out(published):
    """1.75 million transactions, 0.84 % of them fraud; the shares of the scenarios are those published."""
    rows = published
    assert len(rows) == pytest.approx(1_754_155, rel=0.03)
    assert rows["is_fraud"].mean() == pytest.approx(0.0084, rel=0.05)
    counts = dict(rows["scenario"].value_counts().iter_rows())
    assert [counts[1], counts[2], counts[3]] == pytest.approx([978, 9_099, 4_604], rel=0.1)
    assert rows["tx_datetime"].dt.date().min() == datetime.date(2018, 4, 1)
    assert rows["tx_datetime"].dt.date().max() == datetime.date(2018, 9, 30)


def test_the_same_seed_gives_the_same_bytes():
    """Known bytes, so that a change of the drawing or of numpy is seen; another seed gives others."""
    rows = simulate(SMALL)
    assert rows.equals(simulate(SMALL))
    assert not rows.equals(simulate(SMALL.model_copy(update={"seed": 8})))
    digest = hashlib.sha256(rows.write_csv().encode()).hexdigest()
    assert digest == "f768f5fbb2522d6f183b9fac6e2e1df3633c6a8b7e69840cb2d05a3f523552d5"


def test_ids_follow_time():
    rows = simulate(SMALL)
    assert rows["transaction_id"].to_list() == list(range(len(rows)))
    assert rows["tx_datetime"].is_sorted()


def test_profiles_are_as_described(small):
    """Mean amounts in U(5, 100), and exactly the terminals that are nearer than 5."""
    profiles, _ = small
    rng = np.random.default_rng(SMALL.seed).spawn(3)[0]
    homes = rng.uniform(0, 100, (SMALL.customers, 2))
    rng.uniform(size=2 * SMALL.customers)
    places = rng.uniform(0, 100, (SMALL.terminals, 2))
    for customer, (x, y) in enumerate(homes):
        near = [t for t, (u, v) in enumerate(places) if ((x - u) ** 2 + (y - v) ** 2) ** 0.5 < 5]
        assert profiles.reachable[profiles.first[customer] : profiles.first[customer + 1]].tolist() == near
    assert (profiles.mean_cents >= 500).all()
    assert (profiles.mean_cents <= 10_000).all()


def test_customers_buy_in_reach_within_the_day_and_for_no_less_than_nothing(small):
    profiles, purchases = small
    for customer, terminal in zip(purchases.customer, purchases.terminal, strict=True):
        assert terminal in profiles.reachable[profiles.first[customer] : profiles.first[customer + 1]]
    assert (np.diff(purchases.second) >= 0).all()
    assert (purchases.second % 86_400 > 0).all()
    assert (purchases.cents >= 0).all()


def test_purchases_have_the_described_distributions():
    """Poisson counts with the customer's rate, amounts around the customer's mean, times around noon."""
    profiles = simulator.Profiles(
        np.full(50, 5_000.0), np.linspace(0.1, 4, 50), np.arange(50), np.arange(51, dtype=np.int64)
    )
    purchases = draw_purchases(np.random.default_rng(1), profiles, days=400)
    counts = np.bincount(purchases.customer, minlength=50)
    kept = 0.9692  # of a normal distribution with sd 20,000 s, this share is within 43,200 s of noon
    assert counts / 400 == pytest.approx(profiles.transactions_a_day * kept, rel=0.15, abs=0.05)
    redrawn = 0.0228 * 5_000 + 21.2  # the 2.28 % below zero are drawn again with the same mean
    assert purchases.cents.mean() == pytest.approx(5_000 + redrawn, rel=0.01)
    assert (purchases.second % 86_400).mean() == pytest.approx(43_200, rel=0.02)


def test_fraud_is_that_of_a_straightforward_reference(small):
    """The three scenarios, day by day and transaction by transaction, with the same draws."""
    _, purchases = small
    cents, scenario = commit_fraud(np.random.default_rng(3), purchases, SMALL)
    expected_cents, expected_scenario = _reference_fraud(np.random.default_rng(3), purchases, SMALL)
    assert cents.tolist() == expected_cents
    assert scenario.tolist() == expected_scenario
    assert set(expected_scenario) == {0, 1, 2, 3} or set(expected_scenario) == {0, 2, 3}


def test_a_stolen_sum_is_fraud_above_220_only():
    """Scenario 1: 220.00 is genuine, 220.01 is not."""
    cents = np.array([22_000, 22_001])
    purchases = simulator.Purchases(np.array([10, 20]), np.array([0, 0]), np.array([9, 9]), cents)
    quiet = Simulation(customers=1_000_000, terminals=1_000_000, days=1)
    _, scenario = commit_fraud(np.random.default_rng(0), purchases, quiet)
    assert scenario.tolist() == [0, 1]


def test_nobody_in_reach_buys_nothing():
    profiles = simulator.Profiles(np.array([100.0]), np.array([4.0]), np.array([], dtype=np.int64), np.array([0, 0]))
    purchases = draw_purchases(np.random.default_rng(0), profiles, days=5)
    assert len(purchases.cents) == 0
    cents, scenario = commit_fraud(np.random.default_rng(0), purchases, Simulation(customers=1, terminals=2, days=5))
    assert len(cents) == len(scenario) == 0


def _reference_fraud(rng, purchases, simulation):
    terminals = [rng.choice(simulation.terminals, 2, replace=False) for _ in range(simulation.days)]
    customers = [rng.choice(simulation.customers, 3, replace=False) for _ in range(simulation.days)]
    rows = list(zip(purchases.second // 86_400, purchases.customer, purchases.terminal, strict=True))
    cents = [int(amount) for amount in purchases.cents]
    scenario = [1 if amount > 22_000 else 0 for amount in cents]
    for start in range(simulation.days):
        for row, (day, _, terminal) in enumerate(rows):
            if start <= day < start + 28 and terminal in terminals[start]:
                scenario[row] = 2
    for start in range(simulation.days):
        theirs = [
            row
            for customer in customers[start]
            for row, (day, buyer, _) in enumerate(rows)
            if buyer == customer and start <= day < start + 14
        ]
        for row in rng.choice(theirs, len(theirs) // 3, replace=False) if theirs else []:
            cents[row] *= 5
            scenario[row] = 3
    return cents, scenario


def test_the_days_of_the_published_split_are_the_demo_stream(published):
    """58 days, about 550,000 transactions."""
    rows = published.filter(
        pl.col("tx_datetime").dt.date().is_between(datetime.date(2018, 6, 18), datetime.date(2018, 8, 14))
    )
    assert len(rows) == pytest.approx(556_000, rel=0.03)
