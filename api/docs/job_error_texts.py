"""Texts of the pages below `/docs/errors/` for the codes in the `error` of a failed job: why it failed and what to do
about it.
"""

from __future__ import annotations

from engine.core.error_codes import JobErrorCode

#: code -> (what happened, why it happens, what to do)
JOB_ERROR_TEXTS: dict[str, tuple[str, str, str]] = {
    JobErrorCode.TIMEOUT: (
        "The time limit passed",
        "The job, or one of its steps, took longer than its limit. `node_id` tells which: it names the step whose time limit was over, or that of what the step called or asked, like a website or a person; it is null when it was the limit of the job. That one is the flow's job limit, or `Cancel-After` of the call where that is shorter. `message` says what was not done in time.",
        "Open the job in Flowport: its waterfall shows which step took the time. Give that step more time, send less at once, or raise the limit of the job: the one in the flow's settings, or `Cancel-After` where the call sends it.",
    ),
    JobErrorCode.WORKER_LOST: (
        "The worker stopped",
        "The process that ran the job died again and again, for example because the machine had no memory left. Another worker takes the job up twice before this is said; `attempts` counts all three.",
        "Send the request again. If it stays, whoever runs the server looks at its log and at the memory of the machine.",
    ),
    JobErrorCode.BUDGET_EXCEEDED: (
        "The budget is used up",
        "The job, or an Agent in it, reached the most that it may spend on language models.",
        "Send less at once, choose a cheaper model, or let the owner raise the budget; an Agent has its own limit, “Most money”.",
    ),
    JobErrorCode.RESULT_TOO_LARGE: (
        "The result is too large",
        "A result may have 10 MiB, as JSON and with the names of its fields. A flow that returns what it was sent adds to that: a body of just under 10 MiB is taken, but what comes of it may be too large.",
        "Return less: pick the fields that are needed in API Output, or split the request.",
    ),
    JobErrorCode.ADDRESS_NOT_ALLOWED: (
        "The address may not be called",
        "A step wanted to reach an address inside the server's own network, a public one at a port other than 80, 443, 8080 and 8443, one whose host ends in a number and is no IP address in its usual form (`http://134744072/`), or one with a scheme other than http and https, or to send a secret to a host that the secret does not name. Such addresses and ports are closed unless whoever runs the server opens them; other forms of numbers and other schemes always are.",
        "Check the address that was sent. If it should be reachable, the owner adds it under Settings, Server (`FLOWPORT_OUTBOUND_ALLOW` on the server), with its port where that is another, like `example.com:8444`; a host for a secret is added under Settings, Models and secrets. `message` says which of the two it is.",
    ),
    JobErrorCode.HTTP_STATUS: (
        "A website answered with an error",
        "The address that a step called answered with a status of 400 or more. `message` names the address and the status.",
        "Check the address and what is sent to it. A status of 429 or 5xx often passes: try again later, or give the step retries.",
    ),
    JobErrorCode.PAGE_NOT_FOUND: (
        "The page is not there",
        "The website answered 404 or 410.",
        "Check the address.",
    ),
    JobErrorCode.PAGE_BLOCKED_BY_ROBOTS: (
        "The page is closed to robots",
        "The robots.txt of the website asks programs not to read this page, and the step is set to respect that.",
        "Ask the website's owner, or use another page.",
    ),
    JobErrorCode.PAGE_NEEDS_BROWSER: (
        "The page needs a browser",
        "The page is empty until a browser has run its scripts, and the step reads it without one.",
        "Switch `use_browser` on in the step's settings, or look for the data at another address, such as the page's own API.",
    ),
    JobErrorCode.RESPONSE_TOO_LARGE: (
        "An answer is too large",
        "The address that a step called sent more than a step may take.",
        "Ask it for less: another page, a filter, a part of the file.",
    ),
    JobErrorCode.FILE_NOT_FOUND: (
        "A file is not there",
        "A step wanted to read a file that is not stored any more or that its run may not read, or the address that was sent as a file did not answer with one: no server has the name, it does not answer, or it answers with an error. Files go with the data of their job, and a file that was uploaded and never used goes after a day.",
        "Send the file again. For an address, open it in a browser: `message` says what it answered.",
    ),
    JobErrorCode.FILE_NOT_TAKEN: (
        "A file does not fit",
        "A file is of another kind or larger than the field or Flowport takes, or a step cannot read it as the flow wants: it is empty, damaged, locked with a password or of a kind that the step does not read, or, where a table is wanted, it holds none, or a CSV table without rows or with two columns of one name.",
        "`message` names the file and what is wrong with it. Send another file, or let the designer of the flow allow more in API Input.",
    ),
    JobErrorCode.FILE_NOT_STORED: (
        "A file could not be stored",
        "The workspace's space for files is used up, or the disk of the server is full.",
        "The owner can raise the space under Settings, Data, or keep values for a shorter time so that files go earlier.",
    ),
    JobErrorCode.NOT_A_LIST: (
        "A list was expected",
        "A step that works on lists was given something else. `message` names the value and the type that was found.",
        "Check which value the step is bound to, and what was sent for it.",
    ),
    JobErrorCode.INPUT_MISSING: (
        "A value is missing",
        "A step needs an input that was empty: the field was not sent, or an earlier step gave nothing.",
        "Send the field, make it required in API Input, or give it a default.",
    ),
    JobErrorCode.REFERENCE_MISSING: (
        "Data was not found",
        "A step uses a part of an earlier step's output that was not there this time.",
        "Open the job and look at the output of that earlier step; then bind the step to a part that is always there.",
    ),
    JobErrorCode.TEMPLATE_ERROR: (
        "A template could not be filled",
        "The text of a template names something that is not there, or takes too long.",
        "Open the flow: the step's preview shows where. Correct the template and deploy with Update API.",
    ),
    JobErrorCode.MODEL_UNREACHABLE: (
        "The language model was not reached",
        "The model's server did not answer, is out of order, or the connection to it broke.",
        "Try again in a minute. If it stays, the owner presses Test under Settings, Models and secrets.",
    ),
    JobErrorCode.MODEL_KEY_MISSING: (
        "The model has no key",
        "The step's model connection is gone, or its key cannot be read.",
        "The owner adds the key under Settings, Models and secrets.",
    ),
    JobErrorCode.MODEL_KEY_REFUSED: (
        "The model's key was refused",
        "The model's provider refused the key: it is wrong, expired, or has no right to this model.",
        "The owner puts a valid key in under Settings, Models and secrets.",
    ),
    JobErrorCode.MODEL_RATE_LIMITED: (
        "The model's provider asks to slow down",
        "The account at the provider has reached its calls a minute, or its credit. The step tried again as often as it may.",
        "Try again later, let “For each item” run fewer items at once, or raise the limit at the provider.",
    ),
    JobErrorCode.OUTPUT_INVALID: (
        "The model's answer did not fit",
        "The answer was cut off, or did not have the output fields, even after it was asked to correct it.",
        "Say in the prompt what each field holds, allow more tokens or attempts, or choose a stronger model.",
    ),
    JobErrorCode.NODE_FAILED: (
        "A step failed",
        "A step could not do its work, for a reason that has no code of its own: a host whose name was not found (DNS), a connection that was refused or broke, code that failed, and others. `message` tells it in a sentence.",
        "Open the job in Flowport: the step is marked, with its input, its tries and what to do.",
    ),
}

#: code -> (message, node_id, node_label) of the example, with a node type that raises this error. The messages are those
#: of the code that raises them.
JOB_ERROR_EXAMPLES: dict[str, tuple[str, str | None, str | None]] = {
    JobErrorCode.TIMEOUT: ("The step did not end within its time limit of 60 seconds.", "http_request", "Ask the shop"),
    JobErrorCode.WORKER_LOST: ("The worker process stopped 3 times while it ran this job.", None, None),
    JobErrorCode.BUDGET_EXCEEDED: (
        "The agent reached its limit of $0.5: it has spent $0.5012, after 4 replies of its model and 7 calls of tools.",
        "agent",
        "Look it up",
    ),
    JobErrorCode.RESULT_TOO_LARGE: ("The result has 14,680,064 bytes; it may have 10,485,760 (10 MiB).", None, None),
    JobErrorCode.ADDRESS_NOT_ALLOWED: (
        (
            "`https://10.0.0.1/` is not opened: it leads into a private or reserved network. The owner of this "
            "server can allow it under Settings → Server, Allowed addresses (FLOWPORT_OUTBOUND_ALLOW), for example with `10.0.0.1:443`."
        ),
        "http_request",
        "Ask the shop",
    ),
    JobErrorCode.HTTP_STATUS: (
        "`https://shop.example/items` answered 503 (Service Unavailable).",
        "http_request",
        "Ask the shop",
    ),
    JobErrorCode.PAGE_NOT_FOUND: (
        "`https://practice.flowport.example/gone` answered 404 (Not Found).",
        "page_scraper",
        "Read the page",
    ),
    JobErrorCode.PAGE_BLOCKED_BY_ROBOTS: (
        "`https://practice.flowport.example/private` was not read: the site's robots.txt closes it to programs.",
        "page_scraper",
        "Read the page",
    ),
    JobErrorCode.PAGE_NEEDS_BROWSER: (
        "`https://example.com/app` has no text of its own: scripts draw it in the browser.",
        "page_scraper",
        "Read the page",
    ),
    JobErrorCode.RESPONSE_TOO_LARGE: (
        "The answer of `https://example.com/all` is larger than the 10 MiB that are read. Ask for less at once.",
        "http_request",
        "Ask the shop",
    ),
    JobErrorCode.NOT_A_LIST: ("`{{ api_input.out.links }}` is text, not a list.", "array_splitter", "For each link"),
    JobErrorCode.FILE_NOT_FOUND: (
        "`document`: The address of the file answered with status 404.",
        "api_input",
        "API Input",
    ),
    JobErrorCode.FILE_NOT_TAKEN: (
        "`document`: must be a file of this kind: PDF; `page.html` is text/html.",
        "api_input",
        "API Input",
    ),
    JobErrorCode.FILE_NOT_STORED: (
        (
            "`document`: The file could not be stored: The files of this workspace take 5.0 GiB of 5 GiB, and this one has "
            "40 MiB."
        ),
        "api_input",
        "API Input",
    ),
    JobErrorCode.INPUT_MISSING: ("Web address has no value.", "page_scraper", "Read the page"),
    JobErrorCode.REFERENCE_MISSING: (
        "Web address has no value: `{{ http_request.out.json.link }}` names nothing.",
        "page_scraper",
        "Read the page",
    ),
    JobErrorCode.TEMPLATE_ERROR: (
        "The filter `round` cannot work on 'soon': it is not a number.",
        "text_template",
        "Write the text",
    ),
    JobErrorCode.MODEL_UNREACHABLE: (
        "gpt-5-mini of “OpenAI” could not be reached, or the connection broke off.",
        "prompt",
        "Summarise",
    ),
    JobErrorCode.MODEL_KEY_MISSING: ("The connection “OpenAI” has no API key.", "prompt", "Summarise"),
    JobErrorCode.MODEL_KEY_REFUSED: ("The key of the connection “OpenAI” was refused.", "prompt", "Summarise"),
    JobErrorCode.MODEL_RATE_LIMITED: ("gpt-5-mini of “OpenAI” took no more requests.", "prompt", "Summarise"),
    JobErrorCode.OUTPUT_INVALID: (
        "gpt-5-mini gave no object that fits the output fields, in 3 attempts.",
        "prompt",
        "Summarise",
    ),
    JobErrorCode.NODE_FAILED: (
        (
            "`https://shop.example/` could not be opened: no address is known for shop.example. Check how the name is written, "
            "and whether this server reaches the internet, then try again."
        ),
        "http_request",
        "Ask the shop",
    ),
}
