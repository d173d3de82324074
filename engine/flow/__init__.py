"""What a flow is and means, as pure code: Pydantic, Jinja's parser, RE2 and the standard library; no storage, network
or jobs.
"""
