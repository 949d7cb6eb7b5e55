#include "apps/server/page.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "base/checksum.h"

namespace trainyard::apps {
namespace {

constexpr std::string_view kIcon =
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 24 24'%3E%3Crect width='24' height='24' rx='6' "
    "fill='%230d6e66'/%3E%3Cpath d='M6 19V5m12 14V5M6 8h12M6 12h12M6 16h12' stroke='%23fff' stroke-width='2' stroke-linecap='round'/%3E"
    "%3C/svg%3E";
constexpr std::string_view kMark =
    "<svg viewBox=\"0 0 24 24\" fill=\"none\" stroke=\"currentColor\" stroke-width=\"2.2\" stroke-linecap=\"round\" aria-hidden=\"true\">"
    "<path d=\"M6 20V4m12 16V4M6 8h12M6 12h12M6 16h12\"/></svg>";
constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

std::string base64_of_hex(std::string_view hex) {
  static constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  unsigned buffer = 0;
  int bits = 0;
  for (const char c : hex) {
    buffer = (buffer << 4 | static_cast<unsigned>(c <= '9' ? c - '0' : c - 'a' + 10)) & 0xffff;
    bits += 4;
    if (bits < 6) continue;
    bits -= 6;
    out.push_back(kDigits[buffer >> bits & 63]);
  }
  if (bits > 0) out.push_back(kDigits[buffer << (6 - bits) & 63]);
  while (out.size() % 4 != 0) out.push_back('=');
  return out;
}

/// Only what the page itself holds: its style sheet, named by its hash, and the icon; forms go to this server.
const std::string& content_security_policy() {
  static const std::string kPolicy =
      fmt::format("default-src 'none'; style-src 'sha256-{}'; img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
                  base64_of_hex(sha256_hex(page_style())));
  return kPolicy;
}

std::string_view class_of(std::string_view state) {
  static constexpr std::array<std::pair<std::string_view, std::string_view>, 13> kClasses = {{
      {"QUEUED", "wait"},
      {"WAITING", "wait"},
      {"STOPPING", "wait"},
      {"CANCELLING", "wait"},
      {"STARTING", "live"},
      {"RUNNING", "live"},
      {"LAUNCHING", "live"},
      {"SUCCEEDED", "good"},
      {"READY", "good"},
      {"FAILED", "bad"},
      {"TIMED_OUT", "bad"},
      {"UPSTREAM_FAILED", "bad"},
      {"NOT READY", "bad"},
  }};
  const auto* const found = std::find_if(kClasses.begin(), kClasses.end(), [state](const auto& entry) { return entry.first == state; });
  return found == kClasses.end() ? "off" : found->second;
}

}  // namespace

std::string html_escape(std::string_view text) {
  std::string out;
  out.reserve(text.size() + text.size() / 8);
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '&') {
      out += "&amp;";
    } else if (c == '<') {
      out += "&lt;";
    } else if (c == '>') {
      out += "&gt;";
    } else if (c == '"') {
      out += "&quot;";
    } else if (c == '\'') {
      out += "&#39;";
    } else if ((byte < 0x20 && c != '\t' && c != '\n' && c != '\r') || byte == 0x7f) {
      out += kReplacement;
    } else {
      out.push_back(c);
    }
  }
  return out;
}

net::Response page_response(int status, const Page& page) {
  std::string refresh;
  if (page.refresh_seconds > 0 || !page.refresh_target.empty()) {
    const std::string target = page.refresh_target.empty() ? "" : ";url=" + html_escape(page.refresh_target);
    refresh = fmt::format("<meta http-equiv=\"refresh\" content=\"{}{}\">", page.refresh_seconds, target);
  }
  const std::string_view sign_out =
      page.signed_in ? "<form method=\"post\" action=\"/logout\"><button type=\"submit\">Sign out</button></form>" : "";
  net::Response response = net::text_response(
      status,
      fmt::format("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{} · Trainyard</title>"
                  "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">{}<link rel=\"icon\" href=\"{}\">"
                  "<style>{}</style></head><body>\n<header><a class=\"brand\" "
                  "href=\"/\">{}Trainyard</a>{}</header>\n<main>\n{}\n</main></body></html>\n",
                  html_escape(page.title), refresh, kIcon, page_style(), kMark, sign_out, page.body),
      "text/html; charset=utf-8");
  response.headers.set("Content-Security-Policy", content_security_policy());
  // Not no-referrer: with it browsers send `Origin: null` with our own forms, and the server could not tell them from those of others.
  response.headers.set("Referrer-Policy", "same-origin");
  response.headers.set("Cross-Origin-Resource-Policy", "same-origin");
  response.headers.set("Cache-Control", "no-store");
  return response;
}

std::string state_badge(std::string_view state) {
  return fmt::format("<span class=\"state {}\">{}</span>", class_of(state), html_escape(state));
}

std::string span_text(Duration span) {
  const std::int64_t seconds = std::chrono::duration_cast<std::chrono::seconds>(span).count();
  if (seconds < 1) return "under 1 s";
  if (seconds < 60) return fmt::format("{} s", seconds);
  if (seconds < 3600) return fmt::format("{} min", seconds / 60);
  if (seconds < 86'400) return fmt::format("{} h {} min", seconds / 3600, seconds % 3600 / 60);
  return fmt::format("{} d {} h", seconds / 86'400, seconds % 86'400 / 3600);
}

std::string time_ago(TimePoint time, TimePoint now) {
  const std::string exact = to_rfc3339(time);
  const std::string relative = now - time < std::chrono::seconds(1) ? "just now" : span_text(now - time) + " ago";
  return fmt::format("<time datetime=\"{0}\" title=\"{0}\">{1}</time>", exact, relative);
}

std::string text_or_dash(std::string_view text) {
  return text.empty() ? "<span class=\"soft\" aria-hidden=\"true\">–</span>" : html_escape(text);
}

std::string took(const std::optional<TimePoint>& from, const std::optional<TimePoint>& to, TimePoint now) {
  return from ? span_text(to.value_or(now) - *from) : text_or_dash("");
}

std::string table_card(const TableCard& card) {
  if (card.rows.empty()) {
    return fmt::format("<section class=\"card\" aria-labelledby=\"{0}\"><h2 id=\"{0}\">{1}</h2><p>{2}</p></section>\n", card.id,
                       card.heading, card.empty);
  }
  return fmt::format(
      "<section class=\"card\" aria-labelledby=\"{0}\"><h2 id=\"{0}\">{1}</h2><div class=\"scroll\"><table{5}><caption>{2}</caption>"
      "<thead><tr>{3}</tr></thead><tbody>\n{4}</tbody></table></div></section>\n",
      card.id, card.heading, card.caption, card.head, card.rows, card.stacks ? " class=\"stack\"" : "");
}

}  // namespace trainyard::apps
