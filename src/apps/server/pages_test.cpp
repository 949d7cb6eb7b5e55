#include <gtest/gtest.h>

#include "access/session_authorizer.h"
#include "apps/server/page.h"
#include "apps/server/sign_in.h"
#include "apps/server/status_view.h"
#include "base/testing/fake_clock.h"
#include "net/testing/fake_responder.h"

namespace trainyard::apps {
namespace {

constexpr TimePoint kNow = time_from_micros(1'700'000'000'000'000);

std::size_t count_of(std::string_view text, std::string_view part) {
  std::size_t count = 0;
  for (std::size_t at = text.find(part); at != std::string_view::npos; at = text.find(part, at + part.size())) ++count;
  return count;
}

JobLine line_named(std::string name) {
  JobLine line;
  line.job.id = JobId(7);
  line.job.spec.name = std::move(name);
  line.job.submitted_at = kNow - std::chrono::minutes(3);
  line.why = "<i>because</i>";
  return line;
}

TEST(HtmlEscape, markup_and_control_characters_become_text) {
  EXPECT_EQ(html_escape("<a href=\"x\">'&amp;'</a>"), "&lt;a href=&quot;x&quot;&gt;&#39;&amp;amp;&#39;&lt;/a&gt;");
  EXPECT_EQ(html_escape(std::string_view("a\0b\x1b[31m\x7f", 9)),
            "a\xEF\xBF\xBD"
            "b\xEF\xBF\xBD[31m\xEF\xBF\xBD");
  EXPECT_EQ(html_escape("tab\tline\nümlaut"), "tab\tline\nümlaut");
}

TEST(SpanText, span_is_shown_in_its_largest_units) {
  EXPECT_EQ(span_text(std::chrono::milliseconds(400)), "under 1 s");
  EXPECT_EQ(span_text(Duration(-5)), "under 1 s");
  EXPECT_EQ(span_text(std::chrono::seconds(59)), "59 s");
  EXPECT_EQ(span_text(std::chrono::minutes(59)), "59 min");
  EXPECT_EQ(span_text(std::chrono::minutes(125)), "2 h 5 min");
  EXPECT_EQ(span_text(std::chrono::hours(50)), "2 d 2 h");
}

TEST(StateBadge, every_state_has_its_word_and_a_class) {
  EXPECT_EQ(state_badge("FAILED"), "<span class=\"state bad\">FAILED</span>");
  EXPECT_EQ(state_badge("<new>"), "<span class=\"state off\">&lt;new&gt;</span>");
}

TEST(PageResponse, page_allows_only_its_own_style_and_is_not_stored) {
  const net::Response response = page_response(200, {.title = "a<b", .body = "body"});
  const std::string policy(response.headers.get("Content-Security-Policy").value_or(""));
  EXPECT_EQ(policy.find("default-src 'none'; style-src 'sha256-"), 0u) << policy;
  EXPECT_EQ(policy.find("unsafe"), std::string::npos);
  EXPECT_EQ(response.headers.get("Cache-Control"), "no-store");
  EXPECT_NE(response.body.find("<title>a&lt;b · Trainyard</title>"), std::string::npos);
  EXPECT_EQ(response.body.find("http-equiv"), std::string::npos);
  EXPECT_EQ(response.body.find("Sign out"), std::string::npos);
}

TEST(PageResponse, refreshing_page_asks_for_itself_or_for_its_target) {
  EXPECT_NE(page_response(200, {.refresh_seconds = 10}).body.find("http-equiv=\"refresh\" content=\"10\""), std::string::npos);
  EXPECT_NE(page_response(200, {.refresh_target = "/?a=1"}).body.find("content=\"0;url=/?a=1\""), std::string::npos);
}

TEST(StatusPage, everything_from_outside_is_escaped) {
  const std::string attack = "</td><script>x('\"')</script>";
  StatusView view;
  view.url = view.version = view.warning = attack;
  view.now = kNow;
  view.problems = {attack};
  view.jobs = {line_named(attack)};
  view.jobs[0].why = attack;
  view.jobs[0].job.spec.kind = attack;
  view.nodes = {{{attack}, {2000, 1 << 30, 0}, true}};
  workflow::WorkflowRun run;
  run.spec.name = attack;
  view.workflows = {run};
  track::RegisteredModel model;
  model.name = attack;
  model.aliases = {{attack, 3}};
  view.models = {model};
  const std::string page = render_status(view);
  EXPECT_EQ(page.find("<script"), std::string::npos);
  EXPECT_EQ(count_of(page, "&lt;/td&gt;&lt;script&gt;x(&#39;&quot;&#39;)&lt;/script&gt;"), 11u);
  EXPECT_NE(page.find("/api/v1/models/%3C%2Ftd%3E%3Cscript"), std::string::npos);
}

TEST(StatusPage, empty_server_names_the_next_command) {
  const std::string page = render_status({.now = kNow});
  EXPECT_NE(page.find("trainyard job submit"), std::string::npos);
  EXPECT_NE(page.find("trainyard workflow run"), std::string::npos);
  EXPECT_EQ(page.find("<table"), std::string::npos);
}

TEST(StatusPage, live_jobs_are_counted_by_state) {
  const std::string page = render_status({.now = kNow, .live = {{JobState::kRunning, 12}}});
  EXPECT_NE(page.find("<li><b>12</b><span class=\"state live\">RUNNING</span></li>"), std::string::npos);
  EXPECT_NE(page.find("<li class=\"none\"><b>0</b><span class=\"state wait\">QUEUED</span></li>"), std::string::npos);
}

TEST(JobPage, everything_from_outside_is_escaped) {
  const std::string attack = "</dd><script>x</script>";
  JobLine line = line_named(attack);
  jobs::Job& job = line.job;
  job.spec.command = {attack};
  job.spec.kind = job.owner = job.ready_url = attack;
  job.progress = jobs::Progress{1, 2, attack, kNow};
  job.metrics[attack] = {0.5, 3, kNow};
  job.attempt.number = AttemptNumber(1);
  jobs::RankStatus rank;
  rank.node.text = attack;
  rank.exit.emplace().launch_error = attack;
  job.attempt.ranks = {rank};
  const std::string page = render_job(line, kNow);
  EXPECT_EQ(page.find("<script"), std::string::npos);
  EXPECT_EQ(page.find("<i>"), std::string::npos);
  EXPECT_EQ(count_of(page, "&lt;/dd&gt;&lt;script&gt;x&lt;/script&gt;"), 9u);
}

TEST(JobPage, rank_says_what_holds_it_to_its_resources) {
  JobLine line = line_named("n");
  line.job.attempt.number = AttemptNumber(1);
  line.job.attempt.ranks.emplace_back().limited_by = "cgroup2";
  EXPECT_NE(render_job(line, kNow).find("<td>cgroup2</td>"), std::string::npos);
}

TEST(JobPage, ended_job_is_not_asked_to_stop_and_does_not_refresh) {
  JobLine line = line_named("n");
  EXPECT_NE(render_job(line, kNow).find("trainyard job cancel 7"), std::string::npos);
  line.job.state = JobState::kSucceeded;
  EXPECT_EQ(render_job(line, kNow).find("trainyard job cancel"), std::string::npos);
  EXPECT_EQ(render_job(line, kNow).find("<footer>"), std::string::npos);
}

TEST(WorkflowPage, task_leads_to_its_job_only_by_a_number) {
  workflow::WorkflowRun run;
  for (const char* job : {"12", "\"><script>"}) {
    workflow::TaskInstance task;
    task.name = "<b>";
    task.reason = "<i>";
    task.output.set("job_id", job);
    run.tasks.push_back(task);
  }
  const std::string page = render_workflow(run, kNow);
  EXPECT_EQ(count_of(page, "href=\"/jobs/"), 1u);
  EXPECT_NE(page.find("href=\"/jobs/12\""), std::string::npos);
  EXPECT_EQ(page.find("<script"), std::string::npos);
  EXPECT_EQ(page.find("<b>"), std::string::npos);
  EXPECT_EQ(page.find("<i>"), std::string::npos);
}

class SignInTest : public ::testing::Test {
 protected:
  static std::string header(const net::Response& response, std::string_view name) {
    return std::string(response.headers.get(name).value_or(""));
  }
  net::Response post(const std::string& body, std::vector<std::pair<std::string, std::string>> fields = {}) {
    net::Request request = net::testing::make_request("POST", "/login", body);
    for (auto& [name, value] : fields) request.headers.add(name, value);
    return sign_in_by_token(callers, request);
  }

  trainyard::testing::FakeClock clock;
  access::TokenAuthorizer tokens{"key"};
  access::SessionStore sessions{{}, clock};
  access::SessionAuthorizer callers{tokens, sessions, "installation"};
  const std::string token = tokens.issue({.principal = "admin", .role = "admin"});
};

TEST_F(SignInTest, form_with_the_token_opens_a_session) {
  for (const std::string& body : {"token=" + token, "username=x&token=+%0D%0A" + token + "+%09"}) {
    const net::Response response = post(body);
    EXPECT_EQ(response.status, 303);
    EXPECT_EQ(header(response, "Location"), "/");
    EXPECT_NE(header(response, "Set-Cookie").find("HttpOnly; SameSite=Strict"), std::string::npos);
  }
}

TEST_F(SignInTest, form_that_holds_no_good_token_shows_the_page_again) {
  for (const char* body : {"", "token=", "token=%zz", "token=wrong", "tokenx=1", "{}"}) {
    const net::Response response = post(body);
    EXPECT_EQ(response.status, 401) << body;
    EXPECT_EQ(header(response, "Set-Cookie"), "") << body;
    EXPECT_NE(response.body.find("role=\"alert\">This token is not known here"), std::string::npos) << body;
  }
}

TEST_F(SignInTest, forms_of_other_sites_are_refused) {
  for (const auto& mark : {std::pair<std::string, std::string>("Origin", "https://evil.example"), {"Sec-Fetch-Site", "cross-site"}}) {
    EXPECT_EQ(post("token=" + token, {mark}).status, 403);
    net::Request request = net::testing::make_request("POST", "/logout");
    request.headers.add(mark.first, mark.second);
    EXPECT_EQ(sign_out(callers, request).status, 403);
  }
}

TEST_F(SignInTest, link_on_another_site_leads_through_a_page_of_ours_once) {
  net::Request request = net::testing::make_request("GET", "/");
  request.headers.add("Sec-Fetch-Site", "cross-site");
  EXPECT_NE(start_page_for_strangers(callers, request).body.find("content=\"0;url=/?opened=1\""), std::string::npos);
  request.query.emplace("opened", "1");
  EXPECT_NE(start_page_for_strangers(callers, request).body.find("name=\"token\""), std::string::npos);
}

}  // namespace
}  // namespace trainyard::apps
