"""Where stored documents become jaclang's anchors and archetypes, and a finished request's working set becomes one ChangeSet.

Nothing here talks to a server and nothing here decides when to commit: that is `memory/graph.py`; stores are `memory/store.py`.
Beside `program/` this is the only room that may import jaclang, and only what the slim slice holds: `jaclang.jac0core.archetype`,
`.constant`, `.osp_kernel_sv`, `.runtime` and `jaclang.runtimelib.serializer` with what these import themselves.
"""
