"""Whose a binding is: equal registrations of several owners are one binding, which lives as long as one of them (P9, T4)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from hashlib import blake2b
from typing import TYPE_CHECKING, TypeVar

import msgspec

from iii.engine.bindings import Binding, Share
from iii.protocol.errors import TriggerRegistrationFailed
from iii.protocol.names import EACH, SUBSCRIBE

if TYPE_CHECKING:
    from iii.engine.bindings import Bindings
    from iii.engine.functions import Function
    from iii.engine.owner import Owner
    from iii.engine.ownership import Key, Ownership

K = TypeVar("K")


class BindingOwners:
    """Registrations by owner and id, each with the binding that it is or shares.

    Of bindings that are equal, an owner with so many registrations has the first so many: there are never more than the
    owner with most of them registered.
    """

    def __init__(self, bindings: Bindings, claims: Ownership[Function]) -> None:
        self._bindings = bindings
        self._claims = claims
        self._by_owner: dict[Owner, dict[str, Binding]] = {}
        self._by_target: dict[tuple[Owner, Key], dict[Binding, None]] = {}
        self._equal: dict[bytes, dict[Binding, None]] = {}  # those whose owners hold a claim on the target
        self._shared_ids: dict[str, dict[Binding, None]] = {}  # registered, of bindings with another id

    def __len__(self) -> int:
        """Entries of all kinds; 0 when nobody has a binding."""
        return len(self._by_owner) + len(self._by_target) + len(self._equal) + len(self._shared_ids)

    def of(self, owner: Owner) -> Mapping[str, Binding]:
        """What an owner registered, by the ids that it gave."""
        return self._by_owner.get(owner, {})

    def register(self, owner: Owner, binding: Binding) -> None:
        """An owner registers a binding; an equal one of others with the same function stays as it is, and is its too.

        Every other registration of this id is replaced (T4).

        Raises:
            TriggerRegistrationFailed: nothing has changed.
        """
        share = Share(owner, binding.id)
        binding.to_owner = _is_for_each(binding)
        equality = self._equality(owner, binding)
        host = self._host(equality, share)
        replaced = [each for each in self.registered_as(binding.id) if each is not host]
        if host is None:
            self._bindings.register(binding)
            self._link(binding)
            self._open_up(binding, equality)
            host = binding
        else:
            self._join(host, share)
        for each in replaced:
            self._replace(each, binding.id, host)

    def unregister(self, owner: Owner, registered_id: str) -> None:
        """An owner takes one back. Raises UnregisterFailed: the provider could not let go; it stays."""
        binding = self._by_owner[owner][registered_id]
        if len(binding.shares) > 1:
            self._leave(binding, Share(owner, registered_id))
        else:
            self._bindings.unregister(binding.id)
            self._forget(binding)

    def dropping(self, owner: Owner) -> Iterator[None]:
        """The owner's connection ended: what only it had goes, parked ones too; providers are told (01 §9). One a step."""
        for registered_id in list(self._by_owner.get(owner, ())):
            binding = self._by_owner.get(owner, {}).get(registered_id)
            if binding is None:  # replaced meanwhile
                continue
            if len(binding.shares) > 1:
                self._leave(binding, Share(owner, registered_id))
            else:
                self._end(binding, orphaned=True)
            yield

    def claimed(self, owner: Owner, target: Key) -> None:
        """An owner has the function that bindings of its call: they may be one with those of other owners."""
        for binding in list(self._by_target.get((owner, target), ())):
            if binding.equality is not None:
                continue
            (share,) = binding.shares  # without a claim nobody shares
            equality = self._equality(owner, binding)
            host = self._host(equality, share)
            if host is None:
                self._open_up(binding, equality)
            else:
                self._end(binding)
                self._join(host, share)

    def disclaimed(self, owner: Owner, target: Key) -> None:
        """An owner has the function no more, and goes on with bindings of its own."""
        for binding in reversed(self._by_target.get((owner, target), {}).copy()):
            if binding.equality is None:
                continue
            (own,) = (share for share in binding.shares if share.owner is owner)
            others = tuple(share for share in binding.shares if share is not own)
            if not others:
                self._close(binding)
            elif own.id != binding.id:
                self._set_shares(binding, others)
                self._go_on(binding.shared_by((own,)))
            elif any(share.id == own.id for share in others):  # one id for all: it is that of the others (T4)
                self._set_shares(binding, others)
            else:  # the provider knows it by this owner's id
                self._set_shares(binding, (own,))
                self._go_on(binding.shared_by(others), instead_of=binding)

    # -- how ----------------------------------------------------------------------------------------------------------

    def _equality(self, owner: Owner, binding: Binding) -> bytes | None:
        """What bindings have in common that may be one; None: it is for its owner alone."""
        if binding.to_owner or self._claims.claim_of(owner, binding.target) is None:
            return None
        try:
            config = msgspec.json.encode(msgspec.json.decode(binding.config), order="sorted")
        except (msgspec.MsgspecError, ValueError, RecursionError):
            config = binding.config
        names = (binding.trigger_type, binding.trigger_namespace or "", *binding.target)
        named = b"\0".join((*(name.encode(errors="surrogatepass") for name in names), config))
        return blake2b(named, digest_size=16).digest()

    def _host(self, equality: bytes | None, share: Share) -> Binding | None:
        """A binding that gets one more owner, or has this one; two equal ones of one owner are two."""
        equal = self._equal.get(equality) if equality is not None else None
        if equal is None:
            return None
        known = self._by_owner.get(share.owner, {}).get(share.id)
        if known is not None and known in equal:
            return known if len(known.shares) > 1 else None
        if _has(next(reversed(equal)), share.owner):  # then all have it
            return None
        return next(binding for binding in equal if not _has(binding, share.owner))

    def registered_as(self, registered_id: str) -> list[Binding]:
        """Those that somebody registered by an id."""
        known = self._bindings.get(registered_id)
        others = [each for each in self._shared_ids.get(registered_id, ()) if each is not known]
        return others if known is None else [known, *others]

    def _replace(self, binding: Binding, registered_id: str, by: Binding) -> None:
        """Another registration has the id now; owners that know the binding by other ids keep it."""
        gone = [share for share in binding.shares if share.id == registered_id]
        if binding.id != by.id:
            for share in gone:
                if len(binding.shares) > 1:
                    self._leave(binding, share)
                else:
                    self._end(binding)
            return
        left = tuple(share for share in binding.shares if share not in gone)
        if not left:
            self._forget(binding)
            return
        heir = binding.shared_by(left)
        self._go_on(heir, instead_of=binding)
        self._unlink(binding)
        for share in gone:
            self._move_up(heir, share.owner)

    def _join(self, binding: Binding, share: Share) -> None:
        if share not in binding.shares:
            self._set_shares(binding, (*binding.shares, share))
        if binding.provider is None:  # perhaps a provider refused it: this owner has to hear that too
            self._bindings.offer(binding)

    def _leave(self, binding: Binding, share: Share) -> None:
        """One owner less, of several."""
        self._set_shares(binding, tuple(each for each in binding.shares if each != share))
        self._move_up(binding, share.owner)

    def _move_up(self, binding: Binding, owner: Owner) -> None:
        """The last of an owner's equal registrations takes the place of one that is gone."""
        equal = self._equal[binding.equality] if binding.equality is not None else {}
        for last in reversed(equal):
            if last is binding:
                return
            if _has(last, owner):
                (moved,) = (share for share in last.shares if share.owner is owner)
                if len(last.shares) > 1:
                    self._set_shares(last, tuple(share for share in last.shares if share is not moved))
                else:
                    self._end(last)
                self._set_shares(binding, (*binding.shares, moved))
                return

    def _go_on(self, binding: Binding, instead_of: Binding | None = None) -> None:
        """Owners that keep a binding under another id, in the place of another among equal ones."""
        replaced = self._bindings.get(binding.id)
        try:
            self._bindings.register(binding)
        except TriggerRegistrationFailed as error:
            for share in binding.shares:
                share.owner.binding_refused(binding, share.id, error.encode())
            if instead_of is not None:
                self._close(instead_of)
            return
        self._link(binding)
        if instead_of is not None and instead_of.equality is not None:
            equality, instead_of.equality = instead_of.equality, None
            binding.equality = equality
            equal = self._equal[equality]
            self._equal[equality] = {binding if each is instead_of else each: None for each in equal}
        if replaced is not None:
            self._replace(replaced, binding.id, binding)

    def _end(self, binding: Binding, *, orphaned: bool = False) -> None:
        binding.orphaned = orphaned
        self._bindings.drop(binding)
        self._forget(binding)

    def _open_up(self, binding: Binding, equality: bytes | None) -> None:
        if equality is not None:
            binding.equality = equality
            self._equal.setdefault(equality, {})[binding] = None

    def _close(self, binding: Binding) -> None:
        if binding.equality is not None:
            _take_out(self._equal, binding.equality, binding)
            binding.equality = None

    def _forget(self, binding: Binding) -> None:
        self._close(binding)
        self._unlink(binding)

    def _set_shares(self, binding: Binding, shares: tuple[Share, ...]) -> None:
        self._unlink(binding)
        binding.shares = shares
        self._link(binding)

    def _link(self, binding: Binding) -> None:
        for share in binding.shares:
            self._by_owner.setdefault(share.owner, {})[share.id] = binding
            self._by_target.setdefault((share.owner, binding.target), {})[binding] = None
            if share.id != binding.id:
                self._shared_ids.setdefault(share.id, {})[binding] = None

    def _unlink(self, binding: Binding) -> None:
        for share in binding.shares:
            mine = self._by_owner[share.owner]
            if mine.get(share.id) is binding:
                del mine[share.id]
            if not mine:
                del self._by_owner[share.owner]
            _take_out(self._by_target, (share.owner, binding.target), binding)
        for shared_id in {share.id for share in binding.shares if share.id != binding.id}:
            _take_out(self._shared_ids, shared_id, binding)


def _take_out(index: dict[K, dict[Binding, None]], key: K, binding: Binding) -> None:
    found = index[key]
    del found[binding]
    if not found:
        del index[key]


def _has(binding: Binding, owner: Owner) -> bool:
    return any(share.owner is owner for share in binding.shares)


class _Delivery(msgspec.Struct):
    deliver: object = None


def _is_for_each(binding: Binding) -> bool:
    """Whether each owner gets every event (P9)."""
    if binding.trigger_type != SUBSCRIBE or b"each" not in binding.config:
        return False
    try:
        return msgspec.json.decode(binding.config, type=_Delivery).deliver == EACH
    except msgspec.MsgspecError:
        return False
