"""`iii codegen` against a running engine: what is written is taken strictly by checkers, and calls (12 §2)."""

import importlib.util
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import iii as sdk
from iii.cli.codegen.command import generated
from tests.integration.cli.described_functions import register
from tests.integration.cli.running import Iii, RunningEngine
from tests.random_schemas import Schemas
from tests.tools import node_tools, run

USE_IN_PYTHON = """\
import asyncio
import sys
from typing import Any, Literal, assert_type

import iii
from made import Card, CardOrCash, Cat, Client, Dog, Line, Order, Page, ShopPayResult, ShopPetResult, Tree

worker = iii.register_worker(sys.argv[1], iii.InitOptions(otel={"enabled": False}))
shop = Client(worker)

order = Order(id=6, status="open", lines=[Line(unit_price=1.5)], list_=[3])
placed = shop.shop_place_order(order, timeout_ms=5000)
assert_type(placed, Order)
assert_type(placed.status, Literal["open", "paid"])
assert (placed.id, placed.lines[0].unit_price, placed.lines[0].quantity, placed.list_) == (7, 1.5, 1, [3])
assert placed.lines[0].class_ is None and placed.point is None and placed.notes == {}

pet = shop.shop_pet(Cat(lives=9))
assert_type(pet, Cat | Dog | None)
assert isinstance(pet, Dog) and pet.name == "Rex"
assert shop.shop_pet(pet) is None

paid = shop.shop_pay(CardOrCash(number="4711"))
assert_type(paid, Literal["paid", "refused"])
assert (paid, shop.shop_pay(CardOrCash(amount=1))) == ("paid", "refused")

assert_type(shop.shop_tree(Tree(value=1)), list[Tree])
assert shop.shop_tree(Tree(value=1, children=[Tree(value=2)]))[0].value == 2
shop.shop_forget([1])
assert shop.shop_page(Page(size=20))["first"].size == 20
assert_type(shop.shop_anything({"it": 1}), Any)
assert shop.shop_place_order2(5) == 5


async def main() -> None:
    assert_type(await shop.shop_place_order_async(order), Order)
    assert (await shop.shop_tree_async(Tree(value=1))) == []


asyncio.run(main())
try:
    Client(worker, namespace="elsewhere").shop_forget([])
except iii.FunctionNotFound as error:
    assert "elsewhere" in error.message
else:
    raise AssertionError
worker.shutdown()
print("done")
"""
USE_IN_TYPESCRIPT = """\
import { Caller, Client, Order, ShopPayResult, Tree } from "./made";

const seen: unknown[] = [];
const caller: Caller = {
  trigger: async (request) => {
    seen.push(request);
    return request.payload;
  },
};
const shop = new Client(caller);

async function main(): Promise<void> {
  const order: Order = { id: 1, status: "open", lines: [{ "unit-price": 1.5 }] };
  const placed: Order = await shop.shopPlaceOrder(order, 5000);
  const price: number = placed.lines[0]["unit-price"];
  const pet = await shop.shopPet({ kind: "cat", lives: 9 });
  if (pet !== null && pet.kind === "dog") console.error(pet.name);
  const paid: ShopPayResult = await shop.shopPay({ number: "4711" });
  const trees: Tree[] = await shop.shopTree({ value: 1, children: [{ value: 2 }] });
  const nothing: void = await shop.shopForget([1]);
  await shop.shopAnything();
  // @ts-expect-error the status is none of those
  await shop.shopPlaceOrder({ id: 1, status: "lost", lines: [] });
  // @ts-expect-error a member is missing
  await shop.shopTree({ children: [] });
  console.log(JSON.stringify([price, paid, trees, nothing, seen[0]]));
}

void main();
"""


@pytest.fixture(scope="module", autouse=True)
def worker(engine: RunningEngine) -> Iterator[sdk.Worker]:
    worker = sdk.register_worker(engine.url(), sdk.InitOptions(worker_name="shop", otel={"enabled": False}))
    register(worker)
    assert worker.list_workers()
    yield worker
    worker.shutdown()


@pytest.fixture
def made(iii: Iii, engine: RunningEngine, tmp_path: Path) -> dict[str, Path]:
    """The files, by language."""
    files = {"python": tmp_path / "made.py", "typescript": tmp_path / "made.ts"}
    for language, path in files.items():
        done = iii("codegen", language, "--match", "shop::*", "-o", path.name, "--url", engine.url())
        assert (done.returncode, done.stdout, done.stderr) == (0, f"{path.name}: 8 functions\n", "")
    return files


@pytest.mark.timeout(300)
def test_12_check_1_python_is_taken_strictly_and_calls(
    made: dict[str, Path], engine: RunningEngine, tmp_path: Path
) -> None:
    use = tmp_path / "use.py"
    use.write_text(USE_IN_PYTHON)
    assert run(sys.executable, str(use), engine.url(), cwd=tmp_path).splitlines()[-1] == "done"
    said = run(
        sys.executable, "-m", "mypy", "--strict", "--warn-unreachable", "--config-file=", "made.py", "use.py", cwd=tmp_path
    )  # fmt: skip
    assert "Success: no issues found in 2 source files" in said


@pytest.mark.node
@pytest.mark.published
@pytest.mark.timeout(300)
def test_12_check_2_typescript_is_taken_strictly_and_calls(made: dict[str, Path], tmp_path: Path) -> None:
    tools = node_tools()
    (tmp_path / "use.ts").write_text(USE_IN_TYPESCRIPT)
    options = ["--strict", "--target", "es2020", "--module", "commonjs", "--lib", "es2020,dom", "use.ts"]
    run(str(tools / "tsc"), *options, cwd=tmp_path)
    said = run("node", "use.js", cwd=tmp_path)
    assert said == (
        '[1.5,{"number":"4711"},{"value":1,"children":[{"value":2}]},[1],'
        '{"function_id":"shop::place-order","payload":{"id":1,"status":"open","lines":[{"unit-price":1.5}]},'
        '"namespace":"default","timeoutMs":5000}]\n'
    )


@pytest.mark.node
@pytest.mark.published
@pytest.mark.timeout(300)
def test_12_check_5_typescript_of_any_schemas_compiles(tmp_path: Path) -> None:
    files = [tmp_path / f"made{seed}.ts" for seed in range(60)]
    for seed, path in enumerate(files):
        path.write_text(generated("typescript", "Made by a test.", "default", Schemas(seed).rows()))
    run(str(node_tools() / "tsc"), "--noEmit", "--strict", "--target", "es2020", *map(str, files), cwd=tmp_path)


def test_12_check_3_the_same_functions_give_the_same_text(
    iii: Iii, engine: RunningEngine, made: dict[str, Path]
) -> None:
    for language, path in made.items():
        again = iii("codegen", language, "--match", "shop::*", III_URL=engine.url())
        assert again.stdout == path.read_text()
        assert "Made by `iii codegen" in again.stdout.splitlines()[0]
        assert "--match 'shop::*'" in again.stdout.splitlines()[0]
        assert engine.url() not in again.stdout


def test_12_check_4_a_result_that_is_not_as_described_is_refused(
    made: dict[str, Path], engine: RunningEngine, worker: sdk.Worker
) -> None:
    spec = importlib.util.spec_from_file_location("made_for_check_4", made["python"])
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["made_for_check_4"] = module
    try:
        spec.loader.exec_module(module)

        class Lying:
            def trigger(self, request: Any, *, returns: Any = None) -> Any:
                return worker.trigger(
                    {"function_id": "shop::anything", "payload": {"it": [{"value": "x"}]}}, returns=returns
                )

        with pytest.raises(sdk.InvalidResult, match=r"Expected `int`, got `str` - at `\$\[0\]\.value`"):
            module.Client(Lying()).shop_tree(module.Tree(value=1))
    finally:
        del sys.modules["made_for_check_4"]


def test_patterns_select_and_may_be_several(iii: Iii, engine: RunningEngine) -> None:
    done = iii("codegen", "python", "--match", "shop::t*", "--match", "shop::forget", "--url", engine.url())
    assert [line for line in done.stdout.splitlines() if line.startswith("class ")] == [
        "class Tree(msgspec.Struct, kw_only=True):", "class Client:",
    ]  # fmt: skip
    assert done.stdout.count("    def shop_") == 2


def test_functions_that_only_events_call_are_written_if_asked_for(
    iii: Iii, engine: RunningEngine, worker: sdk.Worker
) -> None:
    @worker.cron("0 0 1 1 *")
    def yearly(event: Any) -> None: ...

    worker.list_workers()
    assert "def cron_yearly(self" not in iii("codegen", "python", "--url", engine.url()).stdout
    assert "def shop_pet(self" in iii("codegen", "python", "--url", engine.url()).stdout
    assert "def publish(self" not in iii("codegen", "python", "--url", engine.url()).stdout
    assert "def publish(self" in iii("codegen", "python", "--all", "--match", "publish", "--url", engine.url()).stdout
    assert "def cron_yearly(self" in iii("codegen", "python", "--match", "cron::*", "--url", engine.url()).stdout


def test_the_engines_own_functions_if_asked_for(iii: Iii, engine: RunningEngine) -> None:
    done = iii("codegen", "python", "--all", "--match", "engine::health::*", "--url", engine.url())
    assert "def engine_health_check(self" in done.stdout
    compile(done.stdout, "made", "exec")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (
            ["--match", "shp::*"],
            "Error: no function matches 'shp::*' in namespace 'default'; 'iii function list' shows all",
        ),
        (
            ["--match", "shop::peet"],
            "Error: no function matches 'shop::peet' in namespace 'default', did you mean 'shop::pet'?",
        ),
        (["-n", "other"], "Error: no function matches '*' in namespace 'other'; 'iii function list' shows all"),
        (["-o", "missing/made.py"], "Error: cannot write missing/made.py: No such file or directory"),
    ],
)
def test_what_cannot_be_done_is_one_line(iii: Iii, engine: RunningEngine, arguments: list[str], told: str) -> None:
    done = iii("codegen", "python", *arguments, "--url", engine.url())
    assert (done.returncode, done.stdout, done.stderr) == (1, "", f"{told}\n")


def test_the_guide_is_true(iii: Iii, engine: RunningEngine, tmp_path: Path) -> None:
    page = (Path(sdk.__file__).parents[2] / "docs" / "how-to" / "generate-clients.md").read_text()
    (server,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    shown, client, *_ = re.findall(r"```text\n(.*?)```", page, re.DOTALL)
    served: dict[str, Any] = {"__name__": "server"}
    os.environ["III_URL"] = engine.url()
    try:
        exec(
            server.replace("register_worker()", "register_worker(options=iii.InitOptions(worker_name='users'))"), served
        )
        served["worker"].list_workers()
        done = iii("codegen", "python", "--match", "users::*", "-o", "users_client.py", "--url", engine.url())
        assert done.stdout == "users_client.py: 1 function\n"
        assert shown in (tmp_path / "users_client.py").read_text()
        (tmp_path / "client.py").write_text(client)
        assert run(sys.executable, "client.py", cwd=tmp_path).splitlines()[0] == "7 ada@example.org"
    finally:
        del os.environ["III_URL"]
        if "worker" in served:
            served["worker"].shutdown()
