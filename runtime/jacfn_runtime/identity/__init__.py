"""Who is calling: users, passwords, tokens and single sign-on, and their HTTP routes.

A function service imports `tokens` and nothing else from here: PyJWT only, no cryptography, no database driver. What the gateway
needs on top (argon2, Beanie, Authlib, httpx) is imported inside the functions that use it. No Jac, no graph beyond `create_root`.
"""
