"""The cost of a call: own prices, the price table in the package, local models, and unknown prices."""

import sys
from datetime import UTC, datetime

import pytest

from engine.core.clock import Millis
from engine.models.connections import ModelConnection
from engine.models.price import MAX_COST, MAX_PRICE, Price
from engine.models.price_lookup import Tokens, cost_of, find_price

AT = Millis(int(datetime(2026, 11, 25, tzinfo=UTC).timestamp() * 1000))
OPENAI = ModelConnection("OpenAI", "openai", key="k")
LOCAL = ModelConnection("Ollama", "openai_compatible", "http://127.0.0.1:11434/v1", local=True)
OTHER = ModelConnection("Other", "openai_compatible", "http://models.example.com/v1")


@pytest.mark.parametrize(
    ("connection", "model", "input_nanos", "output_nanos"),
    [
        (OPENAI, "gpt-4o-mini", 150_000_000, 600_000_000),
        (OPENAI, "gpt-4o-mini-2024-07-18", 150_000_000, 600_000_000),
        (OPENAI, "gpt-5", 1_250_000_000, 10_000_000_000),
        (ModelConnection("A", "anthropic", key="k"), "claude-opus-4-5", 5_000_000_000, 25_000_000_000),
        (ModelConnection("G", "google", key="k"), "gemini-2.5-flash", 300_000_000, 2_500_000_000),
        (
            ModelConnection("R", "openai_compatible", "https://openrouter.ai/api/v1"),
            "openai/gpt-4o-mini",
            150_000_000,
            600_000_000,
        ),
        (ModelConnection("R", "openrouter", key="k"), "openai/gpt-4o-mini", 150_000_000, 600_000_000),
        (ModelConnection("M", "mistral", key="k"), "mistral-small-latest", 150_000_000, 600_000_000),
        (
            ModelConnection("Z", "azure_openai", "https://my.openai.azure.com", "k"),
            "gpt-4o-mini",
            150_000_000,
            600_000_000,
        ),
    ],
)
def test_known_models_have_the_price_of_the_table(connection, model, input_nanos, output_nanos):
    assert find_price(connection, model, at=AT) == Price(input_nanos, output_nanos, "price table")


@pytest.mark.parametrize(
    ("connection", "model"),
    [
        (OPENAI, "no-such-model"),
        (OTHER, "gpt-4o-mini"),
        (OTHER, "anything"),
        (ModelConnection("M", "mistral", key="k"), "gpt-4o-mini"),
        (ModelConnection("Z", "azure_openai", "https://my.openai.azure.com", "k"), "my-deployment"),
        (ModelConnection("V", "vllm", "http://models.example.com/v1"), "Qwen/Qwen2.5-7B-Instruct"),
    ],
)
def test_an_unknown_price_is_unknown_and_never_zero(connection, model):
    assert cost_of(connection, model, Tokens(1000, 1000), at=AT) == (None, None)


def test_an_own_price_wins_over_the_table():
    own = Price(2_000_000_000, 4_000_000_000)
    connection = ModelConnection("OpenAI", "openai", key="k", own_prices={"gpt-4o-mini": own})
    price, cost = cost_of(connection, "gpt-4o-mini", Tokens(1000, 500), at=AT)
    assert (price, cost) == (own, 4_000_000)
    assert price is not None
    assert price.as_json() == {"input_nanos": 2_000_000_000, "output_nanos": 4_000_000_000, "source": "own"}


def test_a_local_model_costs_nothing_and_says_so():
    price, cost = cost_of(LOCAL, "llama3.2:3b", Tokens(1000, 1000), at=AT)
    assert cost == 0
    assert price is not None
    assert price.source == "local"


def test_an_own_price_wins_over_free_and_counts_even_when_it_is_zero():
    """The owner can set a price for a local server (for its power consumption), and a price of 0 is a known price."""
    own = {"llama3.2:3b": Price(1_000_000_000, 0), "gpt-4o-mini": Price(0, 0)}
    local = ModelConnection("Ollama", "ollama", local=True, own_prices=own)
    assert cost_of(local, "llama3.2:3b", Tokens(1000, 1000), at=AT) == (own["llama3.2:3b"], 1_000_000)
    openai = ModelConnection("OpenAI", "openai", key="k", own_prices=own)
    assert cost_of(openai, "gpt-4o-mini", Tokens(1000, 1000), at=AT) == (Price(0, 0, "own"), 0)


def test_the_cost_is_tokens_times_price():
    assert cost_of(OPENAI, "gpt-4o-mini", Tokens(812, 96), at=AT)[1] == 812 * 150 + 96 * 600


def test_cached_input_counts_at_its_lower_price():
    full = cost_of(OPENAI, "gpt-4o-mini", Tokens(1000, 0), at=AT)[1]
    cached = cost_of(OPENAI, "gpt-4o-mini", Tokens(1000, 0, cache_read=1000), at=AT)[1]
    assert (full, cached) == (150_000, 75_000)


def test_a_large_prompt_has_the_price_of_its_tier():
    google = ModelConnection("G", "google", key="k")
    small = find_price(google, "gemini-2.5-pro", at=AT, input_tokens=1000)
    large = find_price(google, "gemini-2.5-pro", at=AT, input_tokens=300_000)
    assert small is not None
    assert large is not None
    assert (small.input_nanos, large.input_nanos) == (1_250_000_000, 2_500_000_000)
    assert cost_of(google, "gemini-2.5-pro", Tokens(300_000, 0), at=AT)[1] == 750_000_000


@pytest.mark.parametrize(
    ("nanos", "tokens", "cost"), [(1, 499_999, 0), (1, 500_000, 1), (3, 500_000, 2), (7, 1_000_000, 7)]
)
def test_rounding_is_half_up_once_per_call(nanos, tokens, cost):
    assert Price(nanos, 0).cost(tokens, 0) == cost


def test_looking_up_a_price_starts_no_update_over_the_network():
    find_price(OPENAI, "gpt-4o-mini", at=AT)
    from genai_prices.data_snapshot import get_snapshot

    assert not get_snapshot().from_auto_update
    assert sys.modules["genai_prices.update_prices"]._shared_updater.ref_count == 0


def test_a_cost_that_no_call_has_is_unknown():
    dear = ModelConnection(
        "Dear", "openai_compatible", "http://models.example.com/v1", own_prices={"m": Price(MAX_PRICE, 0)}
    )
    assert cost_of(dear, "m", Tokens(10**6), at=AT)[1] == MAX_COST
    assert cost_of(dear, "m", Tokens(10**6 + 1), at=AT)[1] is None
    assert cost_of(OPENAI, "gpt-4o-mini", Tokens(10**9, 10**9), at=AT)[1] == 750_000 * 10**6
