"""What is inside Milvus as resources of a stack.

`kitestring.objects` knows Milvus and not Pulumi; `provider` and `resources` are the thin layer
that makes dynamic resources of it; `declare` says which resources a spec asks for.
"""
