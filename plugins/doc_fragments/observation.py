# Copyright: the Kitestring authors
# Apache License 2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
"""What the modules share that one look at the cluster can answer for."""

from __future__ import annotations


class ModuleDocFragment:
    """The option `observation`."""

    DOCUMENTATION = r"""
options:
  observation:
    description:
      - The look of M(kitestring.milvus.milvus_observe) in this play, by its RV(ignore:observation).
      - Where it found nothing to do here, that is the answer, without another look. In any other
        case, such as one that is not there any more because a task has changed the cluster, or
        options beside this one, the module looks for itself.
    type: path
"""
