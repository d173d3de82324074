"""Every statement of the page that Flowport was conceived from, and the test that shows it to be true.

Facts and figures count; names and prices of the product of that page do not.
"""

from __future__ import annotations

from typing import NamedTuple


class Statement(NamedTuple):
    """`id`: its place on the page; `sentence`: what it promises; `test`: the name of the one test that shows it."""

    id: str
    sentence: str
    test: str


_TABLE = """
intro.1 | Deploy your AI workflows as production-ready REST APIs with one click. No server setup, no DevOps required. | one_button_turns_a_flow_into_a_rest_api
intro.2 | Automatic authentication, monitoring, and scaling included. | authentication_monitoring_and_scaling_come_with_it
prerequisites.1 | To deploy a flow as an API, it must have an API Input node. | without_an_api_input_deploying_is_refused
prerequisites.2 | The API Input node defines the input schema for API requests. | the_api_input_defines_the_schema_of_requests
prerequisites.3 | At least one processing node. | without_a_processing_node_deploying_is_refused
prerequisites.4 | Processing nodes are prompts, web scrapers, or transformations. | a_prompt_a_web_scraper_and_a_transformation_each_count_as_processing
prerequisites.5 | Saved flow: must be saved to the flow library. | a_flow_must_be_saved_to_the_library_before_it_is_deployed
prerequisites.6 | Optional: add an API Output node to customize the response format. | an_api_output_customizes_the_response
prerequisites.7 | Without it, the final node's output is returned. | without_an_api_output_the_final_nodes_output_is_returned
deploy.1 | Save Your Flow: click Save As in the Flow Playground and give your flow a descriptive title. | step_1_save_as_in_the_playground_gives_the_flow_a_title
deploy.2 | Add API Input Node: if not already present, add it at the start of your flow and configure input fields. | step_2_an_api_input_is_added_at_the_start_and_its_fields_are_configured
deploy.3 | Go to Saved Flows: navigate to Saved Flows in the sidebar. | step_3_saved_flows_is_in_the_sidebar
deploy.4 | Select Your Flow: find and click on the flow you want to deploy. | step_4_a_click_on_the_flow_opens_it
deploy.5 | Click Deploy API: click the Deploy API button. Deployment takes 2-3 seconds. | step_5_deploy_api_is_done_within_seconds
deploy.6 | Get API Endpoint: once deployed, you'll receive your unique API endpoint URL. | step_6_the_flow_has_its_own_endpoint_url
deploy.7 | Your flow is now live and can accept requests from anywhere on the internet. | the_deployed_flow_is_live_and_takes_requests_from_anywhere
endpoint.1 | Your deployed flow gets a unique endpoint: /public/v1/flows/execute/{flow_id}, where {flow_id} is your flow's unique identifier. | the_endpoint_is_made_of_the_base_and_the_flows_unique_identifier
requests.1 | All API requests require authentication with your API key. | every_request_needs_an_api_key
requests.2 | curl -X POST with Authorization: Bearer YOUR_API_KEY, Content-Type: application/json and a JSON body. | curl_with_an_authorization_header_and_a_json_body_works
requests.3 | Get your API key: navigate to Settings, API Keys in your account. | keys_come_from_settings_api_keys
requests.4 | The request body must match the fields defined in your API Input node. | the_body_must_match_the_fields_of_the_api_input
requests.5 | API calls return immediately with a job ID (async execution): job_id, status queued, flow_id. | a_call_returns_at_once_with_a_job_id
async.1 | All flow executions are asynchronous to handle long-running operations. | every_execution_is_asynchronous_so_that_long_work_is_no_trouble
async.2 | Poll for results: use the job status endpoint to check progress. | the_job_status_endpoint_tells_the_progress
async.3 | When status is completed, the response includes results: job_id, status, flow_id, result, execution_time_seconds, completed_at. | a_completed_job_has_its_result_execution_time_and_moment
async.4 | Recommended polling interval: 2-5 seconds. | polling_every_two_to_five_seconds_is_recommended
async.5 | Most flows complete in 5-30 seconds depending on complexity. | flows_complete_within_seconds
examples.1 | Complete working examples with polling: Python. | the_python_example_runs_as_shown
examples.2 | Complete working examples with polling: JavaScript. | the_javascript_example_runs_as_shown
examples.3 | Complete working examples with polling: cURL. | the_curl_example_with_polling_runs_as_shown
examples.4 | API Documentation: complete API reference and schemas. | the_api_documentation_has_every_call_and_schema
monitoring.1 | Execution Jobs Table: view all API requests and their status. | the_jobs_table_shows_every_request_and_its_status
monitoring.2 | Cost Tracking: see API usage costs in real-time. | costs_are_tracked_while_they_arise
monitoring.3 | Error Logs: failed requests with detailed error messages. | error_logs_show_failed_requests_with_a_detailed_message
monitoring.4 | Execution Time: performance metrics per endpoint. | execution_times_are_shown_for_each_endpoint
limits.1 | Free tier: 4 concurrent executions. | free_runs_4_at_once
limits.2 | Pro tier: 20 concurrent executions. | pro_runs_20_at_once
limits.3 | Enterprise: custom limits. | enterprise_runs_as_many_at_once_as_is_agreed
limits.4 | If you exceed your concurrency limit, API requests will return a 429 Too Many Requests error. | above_the_concurrency_limit_the_answer_is_429
limits.5 | Wait for current jobs to complete before submitting new ones. | after_running_jobs_have_completed_new_ones_are_accepted
limits.6 | Free tier: 1,000 requests a month. | free_takes_1_000_requests_a_month
limits.7 | Pro tier: 10,000 requests a month. | pro_takes_10_000_requests_a_month
limits.8 | Enterprise: unlimited requests. | enterprise_takes_any_number_of_requests_a_month
undeploy.1 | To stop accepting API requests: go to Saved Flows, select the deployed flow, click Undeploy API. | undeploying_goes_saved_flows_then_the_flow_then_undeploy_api
undeploy.2 | Undeploying does NOT delete the flow. | undeploying_does_not_delete_the_flow
undeploy.3 | It only disables the API endpoint. | undeploying_only_disables_the_endpoint
undeploy.4 | You can redeploy anytime. | an_undeployed_flow_can_be_deployed_again_at_the_same_address
security.1 | Rotate API keys regularly. | keys_are_rotated_without_an_outage
security.2 | Use separate API keys for dev, staging and production. | production_staging_and_development_have_separate_keys
security.3 | Never commit API keys to version control. | nothing_that_goes_into_version_control_holds_a_key
security.4 | Use environment variables for API keys. | the_examples_read_the_key_from_an_environment_variable
errors.1 | Implement retry logic with exponential backoff. | retrying_with_growing_pauses_is_advised_and_the_examples_wait_as_told
errors.2 | Handle 429 (rate limit) errors gracefully. | the_example_handles_a_429_and_gets_its_result
errors.3 | Log failed requests for debugging. | failed_requests_are_logged_with_what_debugging_needs
errors.4 | Set timeouts on your HTTP client (300 seconds recommended). | a_client_timeout_of_300_seconds_is_recommended_and_set
testing.1 | Test thoroughly in Flow Playground before deploying. | a_flow_is_tested_in_the_playground_before_it_is_deployed
testing.2 | Use small batches to test API behavior. | a_small_batch_runs_within_the_limits
testing.3 | Monitor first few production requests closely. | the_first_requests_are_watched_closely
testing.4 | Have rollback plan (keep previous version deployable). | a_previous_version_stays_deployable
trouble.401.1 | 401 Unauthorized: check API key is correct. | 401_when_the_key_is_not_correct
trouble.401.2 | 401 Unauthorized: verify Authorization: Bearer YOUR_KEY header format. | 401_when_the_authorization_header_has_another_form
trouble.401.3 | 401 Unauthorized: ensure API key hasn't been revoked. | 401_when_the_key_was_revoked
trouble.400.1 | 400 Bad Request: request body doesn't match API Input node schema. | 400_when_the_body_does_not_match_the_schema
trouble.400.2 | 400 Bad Request: missing required fields. | 400_when_required_fields_are_missing
trouble.400.3 | 400 Bad Request: invalid field types (e.g., string instead of number). | 400_when_a_field_has_another_type
trouble.429.1 | 429 Too Many Requests: implement queuing on your side. | callers_can_queue_on_their_side_by_the_time_that_the_answer_names
trouble.429.2 | 429 Too Many Requests: consider upgrading your plan. | a_429_says_what_is_full_and_that_the_plan_can_be_raised
trouble.processing.1 | Job stays in "processing" forever: check if flow has infinite loops (not supported yet). | a_flow_with_a_loop_is_refused
trouble.processing.2 | Job stays in "processing" forever: verify all nodes are working correctly. | it_is_seen_whether_every_node_works
trouble.processing.3 | Job stays in "processing" forever: never, it ends. | no_job_stays_in_processing_for_ever
trouble.processing.4 | Contact support if issue persists. | when_an_issue_persists_there_is_something_to_quote_to_support
next.1 | Next steps: code examples, API documentation, authentication, best practices. | the_next_steps_lead_to_examples_reference_authentication_and_best_practices
"""

STATEMENTS = tuple(
    Statement(
        *(part.strip() for part in f"{line.rpartition('|')[0]}| test_{line.rpartition('|')[2].strip()}".split("|"))
    )
    for line in _TABLE.strip().splitlines()
)
