"""One attempt at a unit of work: a clean memory as the caller, the program's code, the answer, the commit, the effects.

Everything here runs in a copied context (`contextvars.copy_context`), so nothing of one attempt is left for the next request.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import copy
import inspect
import logging
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Literal, NoReturn
from uuid import UUID

import msgspec
from jaclang.jac0core.osp_kernel_sv import isolate_request_walk_stack
from jaclang.jac0core.runtime import JacRuntime

from jacfn_runtime.memory.adapter import access
from jacfn_runtime.memory.adapter.answer import answer
from jacfn_runtime.memory.adapter.changes import collect
from jacfn_runtime.memory.adapter.context import Context
from jacfn_runtime.memory.adapter.memory import Memory
from jacfn_runtime.memory.errors import Conflict, NodeNotFound, StoreUnavailable, UnknownCaller
from jacfn_runtime.memory.store import ChangeSet, Store
from jacfn_runtime.memory.walker_loop import WalkerLoop

_NOBODY = "f" * 32  # asked for in place of a missing node's owner, so that missing takes as long as forbidden
_SCALARS = (str, int, float, bool, type(None))


class Call(msgspec.Struct, frozen=True):
    """What an attempt runs: a walker class with its fields, or a function with its arguments."""

    kind: Literal["walker", "function"]
    target: Any
    arguments: Mapping[str, Any]
    root: str
    node: str | None


class Attempt:
    """One try: `open`, run the program, `finish`, `conclude`; or `failed`."""

    def __init__(self, store: Store, *, fresh: bool) -> None:
        self._store = store
        self._reader = store.reader(fresh=fresh)
        self._context: Context | None = None
        self.result: Any = None
        self.reports: list[Any] = []
        self.changes = ChangeSet()

    def open(self, root: str) -> None:
        """Become this caller. Reads nothing: a function that touches no graph asks no store."""
        memory = Memory(self._reader)
        context = self._context = Context(memory, memory.shell(root))
        memory.hidden = lambda anchors: access.hidden(context, anchors)
        self.enter()

    def start(self, node: str | None) -> Any:
        """The archetype that a walker starts on: this node, or the caller's root. Raises UnknownCaller, NodeNotFound.

        A node that the caller may not read is missing: same error, same number of round trips.
        """
        context, memory = self.context, self.context.mem
        if node is None:
            return context.get_root()
        start = _node_id(node)
        memory.load_nodes({context.me, start})
        if context.me in memory.absent:
            raise UnknownCaller
        anchor = memory.node(start)
        if anchor is None or not access.readable(context, anchor):
            if anchor is None or anchor.root is None:
                memory.load_nodes((_NOBODY,))
            raise NodeNotFound(node)
        return anchor.archetype

    @property
    def context(self) -> Context:
        """The caller's context, once the attempt is open."""
        if self._context is None:
            raise RuntimeError("the attempt is not open")
        return self._context

    def enter(self) -> None:
        """Make this attempt what Jac code finds in the running task or thread."""
        JacRuntime.push_request_context(self.context)
        isolate_request_walk_stack()

    def finish(self, result: Any, marks: Mapping[str, str] | None = None) -> None:
        """Wait for the walker's `flow`s, turn the answer into plain data, and find out what has changed."""
        self._join_flows()
        if inspect.isgenerator(result):
            result = list(result)
        self.result = answer(result)
        self.reports = answer(self.context.call_state.items)
        self._demand_reads()
        self.changes = collect(self.context, marks)

    def _join_flows(self) -> None:
        while self._context is not None and self._context.flows:
            flows, self._context.flows = self._context.flows, []
            for future in concurrent.futures.as_completed(flows):
                if (error := future.exception()) is not None:
                    logging.getLogger(__name__).debug("a flow ended with an exception", exc_info=error)

    def conclude(self, guard: bool, loop: WalkerLoop) -> None:
        """Commit, run the effects (async ones on `loop`), give the reader back.

        Raises Conflict if somebody was faster, or if what was read does not belong to one point in time.
        """
        try:
            if self.changes.empty or not guard:
                self._confirm()
            self._store.commit(self.changes, guard=guard)
        except Conflict as conflict:
            self.close()
            self._demand_caller(conflict)
            raise
        except BaseException:
            self.close()
            raise
        if self.context.effects:
            self.enter()
            for effect in self.context.effects:
                _run_effect(effect, loop)
        self.close()

    def _demand_caller(self, conflict: Conflict) -> None:
        """Raise UnknownCaller if that is what the conflict was: the caller's root was taken for granted and is not there."""
        me = self.context.me
        if me in conflict.ids and me not in self.context.mem.nodes:
            reader = self._store.reader(fresh=True)
            try:
                if me not in reader.nodes((me,)):
                    raise UnknownCaller
            finally:
                reader.close()

    def _demand_reads(self) -> None:
        """Raise what could not be read, if anything, also when the program or a `flow` of it has caught it."""
        if self._context is not None and self._context.mem.failure is not None:
            raise self._context.mem.failure

    def _confirm(self) -> None:
        if not self._reader.confirm():
            raise Conflict(())

    def failed(self, error: BaseException) -> NoReturn:
        """Close after an exception, and raise it; or what explains it: a read that failed, a torn state (Conflict)."""
        try:
            self._join_flows()
            self._demand_reads()
            if not isinstance(error, StoreUnavailable):
                self._confirm()
        finally:
            self.close()
        # What is no Exception (SystemExit, KeyboardInterrupt) would end the server; a StopIteration vanishes in a future.
        if isinstance(error, StopIteration) or not isinstance(error, Exception | asyncio.CancelledError):
            raise RuntimeError(f"the program raised {type(error).__name__}") from error  # noqa: TRY004  it is no wrong type
        raise error

    def close(self) -> None:
        """Give the reader back."""
        self._reader.close()


def _node_id(text: str) -> str:
    try:
        return UUID(text).hex
    except ValueError:
        raise NodeNotFound(text) from None


def run_sync(store: Store, call: Call, fresh: bool, guard: bool, loop: WalkerLoop) -> Attempt:
    """An attempt at a sync walker or function, concluded. If it raises, nothing was written."""
    attempt = Attempt(store, fresh=fresh)
    try:
        attempt.open(call.root)
        arguments = _own(call.arguments)
        if call.kind == "walker":
            start = attempt.start(call.node)
            attempt.finish(JacRuntime.spawn(call.target(**arguments), start))
        else:
            attempt.finish(call.target(**arguments))
    except BaseException as error:
        attempt.failed(error)
    attempt.conclude(guard, loop)
    return attempt


def _run_effect(effect: Callable[[], Any], loop: WalkerLoop) -> None:
    """Run one effect. The commit stands whatever happens here, so whatever it raises is logged and goes no further."""
    failure: BaseException | None = None
    try:
        running = effect()
        if inspect.iscoroutine(running):
            failure = loop.submit(_failure(running)).result()
    except BaseException as error:
        failure = error
    if failure is not None:
        logging.getLogger(__name__).error("an on_commit effect failed; the commit stands", exc_info=failure)


async def _failure(running: Coroutine[Any, Any, Any]) -> BaseException | None:
    """What a coroutine raises, handed back: a SystemExit that leaves a task ends the event loop."""
    try:
        await running
    except BaseException as error:
        return error
    return None


def _own(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments that an attempt may change without its replay seeing it."""
    if all(isinstance(value, _SCALARS) for value in arguments.values()):
        return dict(arguments)
    return copy.deepcopy(dict(arguments))


def is_async(call: Call) -> bool:
    """Whether the target runs on the loop of async walkers."""
    if call.kind == "walker":
        return bool(call.target.__jac_async__)
    return inspect.iscoroutinefunction(call.target) or inspect.isasyncgenfunction(call.target)


async def call_async(attempt: Attempt, call: Call, start: Any) -> Any:
    """The result of an async walker or function, on the running loop."""
    arguments = _own(call.arguments)
    if call.kind == "walker":
        return await JacRuntime.spawn(call.target(**arguments), start)
    if inspect.isasyncgenfunction(call.target):
        return [item async for item in call.target(**arguments)]
    return await call.target(**arguments)
