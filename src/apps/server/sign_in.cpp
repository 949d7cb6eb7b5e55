#include "apps/server/sign_in.h"

#include <fmt/format.h>

#include "apps/server/page.h"
#include "net/origin.h"
#include "net/target.h"

namespace trainyard::apps {
namespace {

// The hidden name is for password managers, which keep the token under it.
constexpr std::string_view kForm =
    "<form method=\"post\" action=\"/login\"><input name=\"username\" value=\"trainyard\" autocomplete=\"username\" hidden>"
    "<label for=\"token\">Access token</label>"
    "<input id=\"token\" name=\"token\" type=\"password\" autocomplete=\"current-password\" spellcheck=\"false\" maxlength=\"1024\" "
    "required "
    "autofocus><button class=\"main\" type=\"submit\">Sign in</button></form>";
constexpr std::string_view kAdvice =
    "<p class=\"soft small\"><code>trainyard up</code> prints the name of the file that holds the token, and a link that signs in once. "
    "Programs send the token as <code>Authorization: Bearer TOKEN</code>.</p>";

/// "what went wrong: what next" as a sentence.
std::string sentence(std::string_view text) {
  std::string out(text);
  if (!out.empty() && out.front() >= 'a' && out.front() <= 'z') out.front() = static_cast<char>(out.front() - 'a' + 'A');
  if (!out.empty() && out.back() != '.') out.push_back('.');
  return out;
}

net::Response go_to(std::string_view path, std::string set_cookie = {}) {
  net::Response response{303, {}, {}};
  response.headers.set("Location", std::string(path));
  response.headers.set("Cache-Control", "no-store");
  response.headers.set("Referrer-Policy", "no-referrer");
  if (!set_cookie.empty()) response.headers.set("Set-Cookie", std::move(set_cookie));
  return response;
}

std::string ask_for_token(std::string_view note) {
  return fmt::format("<div class=\"sign-in\"><section class=\"card\"><h1>Sign in</h1>{}{}{}</section></div>", note, kForm, kAdvice);
}

net::Response refuse_other_site() {
  return error_page(403, {Category::kPermissionDenied,
                          "http.origin",
                          "A page of another site may not sign anybody in or out; open the address of this server and do it there",
                          {},
                          {}});
}

/// Spaces and line ends come along when a token is copied.
std::string trimmed(std::string text) {
  const auto is_blank = [](char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; };
  while (!text.empty() && is_blank(text.back())) text.pop_back();
  while (!text.empty() && is_blank(text.front())) text.erase(text.begin());
  return text;
}

/// The value of a field of an HTML form, empty when it is missing or cannot be read.
std::string form_value(const net::Request& request, const std::string& name) {
  // A form's body is written as a query is (application/x-www-form-urlencoded).
  const Result<net::Target> form = net::parse_target("/?" + request.body);
  if (!form.ok()) return {};
  const auto found = form->query.find(name);
  return found == form->query.end() ? std::string() : found->second;
}

}  // namespace

net::Response sign_in_page(int status, std::string_view trouble) {
  const std::string note =
      trouble.empty() ? "" : fmt::format("<p class=\"note bad\" role=\"alert\">{}</p>", html_escape(sentence(trouble)));
  net::Response response = page_response(status, {.title = "Sign in", .body = ask_for_token(note)});
  if (status == 401) response.headers.set("WWW-Authenticate", "Bearer realm=\"trainyard\"");
  return response;
}

net::Response error_page(int status, const Error& error) {
  const std::string title = std::string(net::reason_phrase(status));
  return page_response(
      status, {.title = title,
               .body = fmt::format("<div class=\"sign-in\"><section class=\"card\"><h1>{}</h1><p>{}</p><p class=\"soft small\">{}</p>"
                                   "<p><a href=\"/\">To the start page</a></p></section></div>",
                                   html_escape(title), html_escape(sentence(error.message)), html_escape(error.id))});
}

net::Response error_page(const Error& error) { return error_page(net::http_status_of(error.category), error); }

net::Response start_page_for_strangers(access::SessionAuthorizer& callers, const net::Request& request) {
  if (request.headers.get("Authorization")) {
    const Result<net::Principal> caller = callers.authenticate(request);
    return net::problem_response(
        caller.ok() ? Error{Category::kPermissionDenied, "auth.forbidden", "This token may not read", {}, {}} : caller.error(),
        request.request_id);
  }
  // The query keeps a browser that marks even our own page's request as foreign from going round for ever.
  if (!net::is_same_origin(request.headers) && !request.query_value("opened")) {
    return page_response(200, {.title = "Opening", .body = "<p><a href=\"/?opened=1\">Go on</a></p>", .refresh_target = "/?opened=1"});
  }
  return callers.session_of(request) ? sign_in_page(200, "the session is over: sign in again") : sign_in_page(200);
}

net::Response sign_in_by_link(access::SessionAuthorizer& callers, const net::Request& request) {
  const std::optional<std::string> link = request.query_value("link");
  if (!link) {
    if (!request.principal.name.empty()) return go_to("/");
    if (!request.query_value("signed-out")) return sign_in_page(200);
    return page_response(200, {.title = "Sign in", .body = ask_for_token("<p class=\"note\" role=\"status\">You are signed out.</p>")});
  }
  if (request.method == "HEAD") return sign_in_page(200);
  if (request.headers.get("Sec-Purpose").value_or("").find("prefetch") != std::string_view::npos) {
    return error_page(503, unavailable("auth.link_not_followed", "this link signs in when it is opened, not when it is fetched ahead"));
  }
  Result<std::string> cookie = callers.sign_in_by_link(*link);
  if (!cookie.ok()) return sign_in_page(401, cookie.error().message);
  callers.sign_out(request);
  return go_to("/", std::move(cookie).value());
}

net::Response sign_in_by_token(access::SessionAuthorizer& callers, const net::Request& request) {
  if (!net::is_same_origin(request.headers)) return refuse_other_site();
  Result<std::string> cookie = callers.sign_in(trimmed(form_value(request, "token")));
  if (!cookie.ok()) return sign_in_page(401, cookie.error().message);
  // A browser keeps one session: the one it had is over.
  callers.sign_out(request);
  return go_to("/", std::move(cookie).value());
}

net::Response sign_out(access::SessionAuthorizer& callers, const net::Request& request) {
  if (!net::is_same_origin(request.headers)) return refuse_other_site();
  return go_to("/login?signed-out=1", callers.sign_out(request));
}

}  // namespace trainyard::apps
