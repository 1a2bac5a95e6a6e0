"""The policy pack: `pulumi preview --policy-pack policy`. Its rules are in the library.

`--policy-pack-config FILE` changes levels and names a spec other than the stack's:
`{"all": "advisory"}`, `{"tls-in-prod": {"enforcementLevel": "advisory", "spec": "my.yaml"}}`.
"""

from pathlib import Path

from kitestring.provision.policy.pack import serve

serve(program=Path(__file__).resolve().parents[1])
