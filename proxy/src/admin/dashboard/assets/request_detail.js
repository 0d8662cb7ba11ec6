// One entry of the access log: what it means, each field, and the line itself.

import { openSheet } from "./dialogs.js";
import { element } from "./dom.js";
import { bytes, logTime } from "./format.js";

const seconds = value => (value < 0 ? "−1" : `${logTime(value)} ms`);

/** Fields by their names in the access log. */
const FIELDS = [
  ["time", it => it.Time],
  ["type", it => it.Type],
  ["elb_status_code", it => it.ElbStatusCode],
  ["target_status_code", it => it.TargetStatusCode],
  ["error_reason", it => it.ErrorReason],
  ["request", it => it.Request],
  ["client:port", it => it.Client],
  ["target:port", it => it.Target],
  ["target group", it => it.TargetGroup],
  ["request_processing_time", it => seconds(it.RequestProcessingTime)],
  ["target_processing_time", it => seconds(it.TargetProcessingTime)],
  ["response_processing_time", it => seconds(it.ResponseProcessingTime)],
  ["received_bytes", it => bytes(it.ReceivedBytes)],
  ["sent_bytes", it => bytes(it.SentBytes)],
  ["user_agent", it => it.UserAgent],
  ["matched_rule_priority", it => it.MatchedRulePriority],
  ["actions_executed", it => it.Actions],
  ["trace_id", it => it.TraceId],
  ["conn_trace_id", it => it.ConnTraceId],
];

/** Opens the sheet of an entry. */
export function openRequest(entry) {
  const { Meaning: meaning = {} } = entry;
  openSheet(meaning.Title ?? "Request", body => {
    const fields = FIELDS.map(([name, value]) => [name, value(entry)]).filter(([, value]) => value !== undefined);
    const rows = fields.map(([name, value]) => element("div", {}, element("dt", {}, name), element("dd", {}, String(value ?? "-"))));
    body.append(
      element("div", { class: "meaning-box", "data-tone": meaning.Severity ?? "info" }, element("p", {}, meaning.Text ?? ""), meaning.More ? element("p", { class: "muted" }, "More: ", element("code", {}, meaning.More)) : null),
      element("dl", { class: "attributes" }, ...rows),
      element("h3", {}, "Line of the access log"),
      element("pre", { tabindex: "0", "aria-label": "Line of the access log" }, entry.Line ?? ""),
    );
  });
}
