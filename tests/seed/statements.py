"""The statements of the product page on which Flowport is based, each with the tests that verify it.

Facts and figures of the page are included; names and prices of that product are not.
"""

from __future__ import annotations

from typing import NamedTuple


class Statement(NamedTuple):
    """A statement of the page.

    `id`: position on the page; `sentence`: what it promises; `tests`: `file::name` under `tests/`, each of which
    verifies it.
    """

    id: str
    sentence: str
    tests: tuple[str, ...]


_TABLE = """
intro.1 | Deploy your AI workflows as production-ready REST APIs with one click. No server setup, no DevOps required.
    browser/test_main_job.py::test_from_an_empty_canvas_to_an_answer_of_the_endpoint
intro.2 | Automatic authentication, monitoring, and scaling included.
    live/test_calls.py::test_a_missing_malformed_unknown_and_revoked_key_get_the_same_401
    browser/test_monitoring.py::test_the_numbers_on_the_page_are_those_of_plain_sql_and_costs_add_up
    api/routes/test_batches.py::test_items_run_within_the_concurrency_limit_and_the_others_wait
prerequisites.1 | To deploy a flow as an API, it must have an API Input node.
    live/test_deployments.py::test_a_flow_that_cannot_be_deployed_says_why_and_stays_as_it_was
    ui/flows/test_flow_page.py::test_an_empty_flow_says_what_is_missing
prerequisites.2 | The API Input node defines the input schema for API requests.
    live/test_calls.py::test_a_wrong_body_is_refused_with_every_wrong_field_at_once
    api/docs/test_pages.py::test_the_flow_page_shows_schema_endpoint_and_code_as_text
prerequisites.3 | At least one processing node.
    live/test_deployments.py::test_a_flow_that_cannot_be_deployed_says_why_and_stays_as_it_was
    ui/flows/test_flow_page.py::test_an_empty_flow_says_what_is_missing
prerequisites.4 | Processing nodes are prompts, web scrapers, or transformations.
    seed/test_told.py::test_a_prompt_a_web_scraper_and_a_transformation_each_count_as_processing
prerequisites.5 | Saved flow: must be saved to the flow library.
    ui/flows/test_flow_page.py::test_a_flow_that_was_never_saved_gets_its_title_first
    engine/actions/test_deployments.py::test_a_flow_that_was_never_saved_is_refused_with_that_and_its_other_problems
prerequisites.6 | Optional: add an API Output node to customize the response format.
    live/test_calls.py::test_an_api_output_decides_the_result
prerequisites.7 | Without it, the final node's output is returned.
    live/test_calls.py::test_a_finished_job_has_everything_that_was_promised
deploy.1 | Save Your Flow: click Save As in the Flow Playground and give your flow a descriptive title.
    browser/test_main_job.py::test_from_an_empty_canvas_to_an_answer_of_the_endpoint
deploy.2 | Add API Input Node: if not already present, add it at the start of your flow and configure input fields.
    browser/test_main_job.py::test_from_an_empty_canvas_to_an_answer_of_the_endpoint
deploy.3 | Go to Saved Flows: navigate to Saved Flows in the sidebar.
    browser/test_main_job.py::test_from_an_empty_canvas_to_an_answer_of_the_endpoint
deploy.4 | Select Your Flow: find and click on the flow you want to deploy.
    browser/test_main_job.py::test_from_an_empty_canvas_to_an_answer_of_the_endpoint
deploy.5 | Click Deploy API: click the Deploy API button. Deployment takes 2-3 seconds.
    browser/test_main_job.py::test_from_an_empty_canvas_to_an_answer_of_the_endpoint
deploy.6 | Get API Endpoint: once deployed, you'll receive your unique API endpoint URL.
    browser/test_main_job.py::test_from_an_empty_canvas_to_an_answer_of_the_endpoint
deploy.7 | Your flow is now live and can accept requests from anywhere on the internet.
    live/test_calls.py::test_a_call_may_come_from_anywhere
endpoint.1 | Your deployed flow gets a unique endpoint: /public/v1/flows/execute/{flow_id}, where {flow_id} is your flow's unique identifier.
    browser/test_main_job.py::test_from_an_empty_canvas_to_an_answer_of_the_endpoint
    engine/actions/test_deployments.py::test_deploying_gives_one_path_for_ever
requests.1 | All API requests require authentication with your API key.
    live/test_calls.py::test_a_missing_malformed_unknown_and_revoked_key_get_the_same_401
    house/test_routes.py::test_only_a_key_opens_the_public_api
requests.2 | curl -X POST with Authorization: Bearer YOUR_API_KEY, Content-Type: application/json and a JSON body.
    browser/test_main_job.py::test_from_an_empty_canvas_to_an_answer_of_the_endpoint
    ui/flows/test_flow_page.py::test_the_shown_curl_is_accepted_by_the_endpoint
requests.3 | Get your API key: navigate to Settings, API Keys in your account.
    browser/test_keys.py::test_a_key_from_settings_is_rotated_without_an_outage_and_revoked
requests.4 | The request body must match the fields defined in your API Input node.
    live/test_calls.py::test_a_wrong_body_is_refused_with_every_wrong_field_at_once
requests.5 | API calls return immediately with a job ID (async execution): job_id, status queued, flow_id.
    live/test_calls.py::test_submitting_answers_202_with_job_id_status_and_flow_id
async.1 | All flow executions are asynchronous to handle long-running operations.
    live/test_calls.py::test_whoever_waited_in_vain_gets_202
    live/test_lists.py::test_a_list_runs_so_many_at_once_and_comes_out_in_order
async.2 | Poll for results: use the job status endpoint to check progress.
    live/test_lists.py::test_a_list_runs_so_many_at_once_and_comes_out_in_order
async.3 | When status is completed, the response includes results: job_id, status, flow_id, result, execution_time_seconds, completed_at.
    live/test_calls.py::test_a_finished_job_has_everything_that_was_promised
async.4 | Recommended polling interval: 2-5 seconds.
    seed/test_told.py::test_the_guides_advise_what_the_server_says
    live/test_calls.py::test_submitting_answers_202_with_job_id_status_and_flow_id
async.5 | Most flows complete in 5-30 seconds depending on complexity.
    live/test_calls.py::test_a_finished_job_has_everything_that_was_promised
examples.1 | Complete working examples with polling: Python.
    live/test_code_on_screen.py::test_each_program_prints_the_result
examples.2 | Complete working examples with polling: JavaScript.
    live/test_code_on_screen.py::test_each_program_prints_the_result
examples.3 | Complete working examples with polling: cURL.
    live/test_code_on_screen.py::test_each_program_prints_the_result
examples.4 | API Documentation: complete API reference and schemas.
    seed/test_told.py::test_the_api_documentation_has_every_call_and_schema
monitoring.1 | Execution Jobs Table: view all API requests and their status.
    ui/jobs/test_jobs_page.py::test_jobs_are_listed_with_what_matters
    ui/jobs/test_jobs_page.py::test_a_new_job_appears_by_itself
    ui/jobs/test_refused_calls.py::test_refused_calls_are_put_together_and_explained
monitoring.2 | Cost Tracking: see API usage costs in real-time.
    browser/test_monitoring.py::test_the_cost_moves_after_a_model_call_while_the_job_runs
monitoring.3 | Error Logs: failed requests with detailed error messages.
    ui/jobs/test_job_page.py::test_a_failed_job_says_what_happened_why_and_what_to_do
    live/test_outside.py::test_a_page_that_cannot_be_read_says_why
monitoring.4 | Execution Time: performance metrics per endpoint.
    browser/test_monitoring.py::test_the_numbers_on_the_page_are_those_of_plain_sql_and_costs_add_up
limits.1 | Free tier: 4 concurrent executions.
    live/test_limits.py::test_what_a_plan_gives_at_once_and_in_a_month
limits.2 | Pro tier: 20 concurrent executions.
    live/test_limits.py::test_what_a_plan_gives_at_once_and_in_a_month
limits.3 | Enterprise: custom limits.
    live/test_limits.py::test_enterprise_gives_what_is_agreed_at_once_and_any_number_in_a_month
limits.4 | If you exceed your concurrency limit, API requests will return a 429 Too Many Requests error.
    live/test_limits.py::test_the_fifth_job_at_once_is_refused_on_free
limits.5 | Wait for current jobs to complete before submitting new ones.
    live/test_limits.py::test_a_slot_comes_back_when_a_job_ends
limits.6 | Free tier: 1,000 requests a month.
    live/test_limits.py::test_what_a_plan_gives_at_once_and_in_a_month
    live/test_limits.py::test_request_4_of_a_month_of_3_is_refused
limits.7 | Pro tier: 10,000 requests a month.
    live/test_limits.py::test_what_a_plan_gives_at_once_and_in_a_month
limits.8 | Enterprise: unlimited requests.
    live/test_limits.py::test_enterprise_gives_what_is_agreed_at_once_and_any_number_in_a_month
undeploy.1 | To stop accepting API requests: go to Saved Flows, select the deployed flow, click Undeploy API.
    ui/flows/test_flow_page.py::test_undeploying_asks_first_and_keeps_the_flow
    browser/test_deploying.py::test_from_a_refused_field_to_an_api_that_takes_it
undeploy.2 | Undeploying does NOT delete the flow.
    ui/flows/test_flow_page.py::test_undeploying_asks_first_and_keeps_the_flow
    live/test_deployments.py::test_undeployed_calls_get_404_job_urls_answer_and_the_same_url_comes_back
undeploy.3 | It only disables the API endpoint.
    live/test_deployments.py::test_a_job_that_runs_while_its_flow_is_undeployed_goes_on
    live/test_deployments.py::test_undeployed_calls_get_404_job_urls_answer_and_the_same_url_comes_back
undeploy.4 | You can redeploy anytime.
    live/test_deployments.py::test_undeployed_calls_get_404_job_urls_answer_and_the_same_url_comes_back
security.1 | Rotate API keys regularly.
    browser/test_keys.py::test_a_key_from_settings_is_rotated_without_an_outage_and_revoked
    live/test_under_load.py::test_a_key_is_rotated_under_load_without_a_401_and_ends_when_it_is_revoked
security.2 | Use separate API keys for dev, staging and production.
    live/test_calls.py::test_a_key_sees_the_jobs_of_its_own_environment_only
    commands/test_keys.py::test_create_prints_the_key_alone_once
security.3 | Never commit API keys to version control.
    seed/test_told.py::test_nothing_that_goes_into_version_control_holds_a_key
security.4 | Use environment variables for API keys.
    seed/test_told.py::test_the_examples_read_the_key_from_the_environment_and_wait_as_told
errors.1 | Implement retry logic with exponential backoff.
    seed/test_told.py::test_the_examples_read_the_key_from_the_environment_and_wait_as_told
    seed/test_told.py::test_the_guides_advise_what_the_server_says
errors.2 | Handle 429 (rate limit) errors gracefully.
    live/test_code_on_screen.py::test_each_program_waits_for_a_slow_job_and_for_a_free_slot
errors.3 | Log failed requests for debugging.
    api/test_refused_calls.py::test_a_refused_call_is_kept_with_its_fields_and_without_values
    ui/jobs/test_refused_calls.py::test_refused_calls_are_put_together_and_explained
errors.4 | Set timeouts on your HTTP client (300 seconds recommended).
    seed/test_told.py::test_the_guides_advise_what_the_server_says
    seed/test_told.py::test_the_examples_read_the_key_from_the_environment_and_wait_as_told
testing.1 | Test thoroughly in Flow Playground before deploying.
    browser/test_main_job.py::test_from_an_empty_canvas_to_an_answer_of_the_endpoint
    engine/jobs/test_playground_runs.py::test_a_playground_run_takes_no_slot_and_no_quota
testing.2 | Use small batches to test API behavior.
    live/test_calls.py::test_a_small_batch_runs_within_the_limits
testing.3 | Monitor first few production requests closely.
    browser/test_deploying.py::test_from_a_refused_field_to_an_api_that_takes_it
    ui/flows/test_flow_page.py::test_first_calls_show_accepted_and_refused_ones
testing.4 | Have rollback plan (keep previous version deployable).
    live/test_deployments.py::test_an_older_version_goes_live_again
    ui/flows/test_versions_tab.py::test_a_version_that_goes_live_again_comes_onto_the_canvas_too
trouble.401.1 | 401 Unauthorized: check API key is correct.
    live/test_calls.py::test_a_missing_malformed_unknown_and_revoked_key_get_the_same_401
    seed/test_told.py::test_the_guides_advise_what_the_server_says
trouble.401.2 | 401 Unauthorized: verify Authorization: Bearer YOUR_KEY header format.
    live/test_calls.py::test_a_missing_malformed_unknown_and_revoked_key_get_the_same_401
    seed/test_told.py::test_the_guides_advise_what_the_server_says
trouble.401.3 | 401 Unauthorized: ensure API key hasn't been revoked.
    live/test_calls.py::test_a_missing_malformed_unknown_and_revoked_key_get_the_same_401
    seed/test_told.py::test_the_guides_advise_what_the_server_says
trouble.400.1 | 400 Bad Request: request body doesn't match API Input node schema.
    live/test_calls.py::test_a_wrong_body_is_refused_with_every_wrong_field_at_once
trouble.400.2 | 400 Bad Request: missing required fields.
    live/test_calls.py::test_a_wrong_body_is_refused_with_every_wrong_field_at_once
trouble.400.3 | 400 Bad Request: invalid field types (e.g., string instead of number).
    live/test_calls.py::test_a_wrong_body_is_refused_with_every_wrong_field_at_once
trouble.429.1 | 429 Too Many Requests: implement queuing on your side.
    live/test_code_on_screen.py::test_each_program_waits_for_a_slow_job_and_for_a_free_slot
trouble.429.2 | 429 Too Many Requests: consider upgrading your plan.
    live/test_limits.py::test_the_fifth_job_at_once_is_refused_on_free
    live/test_limits.py::test_a_plan_that_is_changed_at_the_terminal_counts_for_the_next_request
trouble.processing.1 | Job stays in "processing" forever: check if flow has infinite loops (not supported yet).
    live/test_command_line.py::test_bad_files_beside_a_running_server_are_refused_with_every_problem_and_nothing_is_stored
    browser/test_canvas_element.py::test_a_refused_connection_says_why
trouble.processing.2 | Job stays in "processing" forever: verify all nodes are working correctly.
    browser/test_deploying.py::test_a_failed_call_is_retried_from_its_failed_node_as_a_run_of_its_version
trouble.processing.3 | Job stays in "processing" forever: never, it ends.
    live/test_outside.py::test_a_job_ends_at_its_callers_deadline
    api/routes/test_jobs.py::test_a_job_at_work_says_when_it_ends_at_the_latest
trouble.processing.4 | Contact support if issue persists.
    ui/jobs/test_job_page.py::test_a_failed_job_says_what_happened_why_and_what_to_do
    ui/settings/test_support.py::test_it_says_what_a_helper_needs
next.1 | Next steps: code examples, API documentation, authentication, best practices.
    seed/test_told.py::test_the_next_steps_lead_to_examples_reference_authentication_and_best_practices
"""


def _read() -> tuple[Statement, ...]:
    """Parses the table: one line per statement, followed by an indented line for each of its tests."""
    found: list[tuple[str, str, list[str]]] = []
    for line in _TABLE.strip().splitlines():
        if line.startswith(" "):
            found[-1][2].append(line.strip())
        else:
            place, _, sentence = line.partition(" | ")
            found.append((place, sentence, []))
    return tuple(Statement(place, sentence, tuple(tests)) for place, sentence, tests in found)


STATEMENTS = _read()
