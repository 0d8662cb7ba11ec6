// Conditions and actions of listener rules, in few words.

const HEADERS = { "host-header": "HostHeaderConfig", "path-pattern": "PathPatternConfig", "http-header": "HttpHeaderConfig" };
const NAMES = { "host-header": "host", "path-pattern": "path", "http-request-method": "method", "query-string": "query", "source-ip": "source IP" };

const either = values => values.join(" or ");

/** A condition: `path is /api/*`. */
export function condition(it) {
  const config = it[HEADERS[it.Field]];
  if (config) {
    const name = it.Field === "http-header" ? `header ${config.HttpHeaderName}` : NAMES[it.Field];
    return config.RegexValues ? `${name} matches ${either(config.RegexValues)}` : `${name} is ${either(config.Values ?? [])}`;
  }
  if (it.Field === "query-string") {
    const pairs = it.QueryStringConfig.Values.map(({ Key, Value }) => (Key ? `${Key}=${Value}` : Value));
    return `query has ${either(pairs)}`;
  }
  const values = (it.HttpRequestMethodConfig ?? it.SourceIpConfig)?.Values ?? [];
  return `${NAMES[it.Field] ?? it.Field} is ${either(values)}`;
}

/** All conditions of a rule, and its transforms. */
export function conditions(rule) {
  if (rule.IsDefault) return "no other rule matches";
  return (rule.Conditions ?? []).map(condition).join(" and ") || "always";
}

function forward(action, nameOf) {
  const config = action.ForwardConfig;
  const groups = config?.TargetGroups ?? [{ TargetGroupArn: action.TargetGroupArn, Weight: 1 }];
  const total = groups.reduce((sum, group) => sum + (group.Weight ?? 1), 0);
  const told = groups.map(group => {
    const name = nameOf(group.TargetGroupArn);
    return groups.length > 1 ? `${name} ${Math.round((100 * (group.Weight ?? 1)) / (total || 1))} %` : name;
  });
  const sticky = config?.TargetGroupStickinessConfig?.Enabled ? " (sticky)" : "";
  return `forward to ${told.join(", ")}${sticky}`;
}

/** What a redirect leaves as it came. */
const KEPT = ["#{protocol}", "#{host}", "#{port}", "/#{path}", "#{query}"];

/** A redirect is told by what it changes: `redirect 301 to HTTPS, port 443`. */
function redirect({ RedirectConfig: to }) {
  const parts = [[to.Protocol, ""], [to.Host, "host "], [to.Port, "port "], [to.Path, "path "], [to.Query, "query "]];
  const changed = parts.filter(([value]) => value && !KEPT.includes(value)).map(([value, name]) => `${name}${value}`);
  return `redirect ${String(to.StatusCode).replace("HTTP_", "")} to ${changed.join(", ") || "the same"}`;
}

/** Actions in their order; `nameOf` tells the name of the target group with an ARN. */
export function actions(rule, nameOf) {
  const told = (rule.Actions ?? []).map(action => {
    if (action.Type === "forward") return forward(action, nameOf);
    if (action.Type === "redirect") return redirect(action);
    if (action.Type === "fixed-response") return `answer ${action.FixedResponseConfig.StatusCode}`;
    return action.Type;
  });
  const rewritten = (rule.Transforms ?? []).map(it => it.Type);
  return [...rewritten, ...told].join(", then ");
}
