"""Sign-offs: `<state>/sign-offs/<collection>/<model>.json`, each there whole or not at all.

One for each model of a collection: what was signed off of the former model stays when the
collection gets another.
"""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import quote

from kitestring.canary.arrays import unpacked
from kitestring.canary.probe_texts import PROBE_TEXTS
from kitestring.clients.textfile import STATE_HINT, make_folder, write_whole
from kitestring.errors import SignOffUnreadable
from kitestring.model.codec import from_plain, to_plain
from kitestring.model.signoff import SIGN_OFF_VERSION, SignOff
from kitestring.spec.loaded import LoadedSpec

FOLDER = "sign-offs"


def sign_off_file(loaded: LoadedSpec, collection: str, label: str) -> Path:
    """Where the sign-off of a collection and model is, or would be."""
    return loaded.state_dir / FOLDER / collection / f"{quote(label, safe='@')}.json"


def read_sign_off(loaded: LoadedSpec, collection: str, label: str) -> SignOff | None:
    """The sign-off of a collection and model, or None.

    Raises:
        SignOffUnreadable: it is damaged, of another version, or another cluster's.
    """
    file = sign_off_file(loaded, collection, label)
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
        version = data.get("schema_version") if isinstance(data, dict) else None
        if version != SIGN_OFF_VERSION:
            raise ValueError(f"it is of version {version}, not {SIGN_OFF_VERSION}")
        found = from_plain(SignOff, data)
        _check(found)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _unreadable(file, error.strerror or "it can't be opened") from None
    except (ValueError, RecursionError) as error:
        raise _unreadable(file, str(error)) from None
    named = (found.cluster, found.collection, found.fingerprint.label)
    if named != (loaded.spec.cluster.name, collection, label):
        raise _unreadable(file, "it is that of {} / {} by {}".format(*named))
    return found


def write_sign_off(loaded: LoadedSpec, sign_off: SignOff) -> Path:
    """Keeps a sign-off; an older one of that collection and model is replaced.

    Raises:
        StoreFull, StoreError: it can't be written.
    """
    file = sign_off_file(loaded, sign_off.collection, sign_off.fingerprint.label)
    make_folder(file.parent, hint=STATE_HINT)
    write_whole(file, json.dumps(to_plain(sign_off), indent=1) + "\n")
    return file


def _check(sign_off: SignOff) -> None:
    """Raises ValueError where the parts do not fit each other."""
    dimension = sign_off.fingerprint.dimension
    if list(sign_off.cosines) != sorted(sign_off.cosines) or not sign_off.cosines:
        raise ValueError("its cosines are not in order")
    if len(unpacked(sign_off.probes, dimension)) != len(PROBE_TEXTS):
        raise ValueError("it was made with other probe texts")
    if len(unpacked(sign_off.vectors, dimension)) < 2:
        raise ValueError("it holds no vectors to compare the content with")


def _unreadable(file: Path, why: str) -> SignOffUnreadable:
    return SignOffUnreadable(
        f"the sign-off {file} can't be used: {why}",
        hint="make it again where the vectors are known to be right: "
        "`kitestring embedding sign-off --renew`",
        subject=str(file),
    )
