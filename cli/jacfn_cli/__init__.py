"""What a person types and reads: Click commands, one printer, settings with provenance, the plugin of jaclang's `jac`.

It stands on jacfn_knative and jacfn_runtime and holds no logic of theirs: it reads settings, calls them, and shows what they
report. Nothing outside this package prints; nothing inside it imports kubernetes or jaclang.
"""
