#include "apps/server/status_view.h"

#include <fmt/format.h>

#include <algorithm>

#include "apps/server/page.h"

namespace trainyard::apps {
namespace {

std::string tiles(const StatusView& view) {
  std::string out = "<ul class=\"tiles\" aria-label=\"Live jobs by state\">";
  for (const JobState state : {JobState::kQueued, JobState::kStarting, JobState::kRunning, JobState::kStopping}) {
    const auto found = view.live.find(state);
    const std::size_t count = found == view.live.end() ? 0 : found->second;
    out += fmt::format("<li{}><b>{}</b>{}</li>", count == 0 ? " class=\"none\"" : "", count, state_badge(name_of(state)));
  }
  return out + "</ul>\n";
}

/// "23.4 GiB": nodes have odd sizes, and nobody wants them exactly.
std::string memory_text(std::int64_t bytes) {
  const double mebibytes = static_cast<double>(bytes) / (1 << 20);
  return mebibytes < 1024 ? fmt::format("{:.0f} MiB", mebibytes) : fmt::format("{:.1f} GiB", mebibytes / 1024);
}

std::string job_rows(const StatusView& view) {
  std::string rows;
  for (const JobLine& line : view.jobs) {
    const jobs::Job& job = line.job;
    rows += fmt::format(
        "<tr><td class=\"num\"><a href=\"/jobs/{0}\" aria-label=\"Job {0}\">{0}</a></td><th scope=\"row\"><bdi>{1}</bdi>"
        "<span class=\"kind\">{2}</span></th><td>{3}</td><td><bdi>{4}</bdi></td><td class=\"when wide\">{5}</td><td class=\"num "
        "wide\">{6}</td></tr>\n",
        job.id.text(), html_escape(name_of_job(job)), html_escape(job.spec.kind), state_badge(name_of(job.state)), text_or_dash(line.why),
        time_ago(job.submitted_at, view.now), took(job.started_at, job.ended_at, view.now));
  }
  return rows;
}

std::string task_progress(const workflow::WorkflowRun& run) {
  const auto ended = std::count_if(run.tasks.begin(), run.tasks.end(), [](const auto& task) { return is_terminal(task.state); });
  const std::string text = fmt::format("{} of {} tasks", ended, run.tasks.size());
  return fmt::format("<progress max=\"{}\" value=\"{}\" aria-label=\"{}\"></progress><span class=\"num\">{}</span>",
                     std::max<std::size_t>(1, run.tasks.size()), ended, text, text);
}

std::string workflow_rows(const StatusView& view) {
  std::string rows;
  for (const workflow::WorkflowRun& run : view.workflows) {
    rows += fmt::format(
        "<tr><td class=\"num\"><a href=\"/workflows/{0}\" aria-label=\"Workflow run {0}\">{0}</a></td><th scope=\"row\"><bdi>{1}</bdi></th>"
        "<td>{2}</td><td>{3}</td><td class=\"when wide\">{4}</td></tr>\n",
        run.id.text(), html_escape(run.spec.name), state_badge(name_of(run.state)), task_progress(run), time_ago(run.created_at, view.now));
  }
  return rows;
}

std::string node_rows(const StatusView& view) {
  std::string rows;
  for (const exec::NodeView& node : view.nodes) {
    rows += fmt::format("<tr><th scope=\"row\"><bdi>{}</bdi></th><td>{}</td><td class=\"num\">{:g}</td><td class=\"num\">{}</td></tr>\n",
                        html_escape(node.name.text), state_badge(node.ready ? "READY" : "NOT READY"),
                        static_cast<double>(node.capacity.milli_cpu) / 1000, memory_text(node.capacity.memory_bytes));
  }
  return rows;
}

std::string model_rows(const StatusView& view) {
  std::string rows;
  for (const track::RegisteredModel& model : view.models) {
    std::int64_t newest = 0;
    for (const track::ModelVersion& version : model.latest_versions) newest = std::max(newest, version.version);
    std::string aliases;
    for (const track::ModelAlias& alias : model.aliases) {
      aliases += fmt::format("{}{} → {}", aliases.empty() ? "" : ", ", html_escape(alias.alias), alias.version);
    }
    rows += fmt::format(
        "<tr><th scope=\"row\"><a href=\"/api/v1/models/{}\"><bdi>{}</bdi></a><span class=\"kind\">JSON</span></th><td "
        "class=\"num\">{}</td>"
        "<td>{}</td></tr>\n",
        net::percent_encode(model.name), html_escape(model.name), newest == 0 ? text_or_dash("") : std::to_string(newest),
        aliases.empty() ? text_or_dash("") : aliases);
  }
  return rows;
}

std::string notices(const StatusView& view) {
  std::string out;
  if (!view.warning.empty()) out += fmt::format("<p class=\"note wait\" role=\"status\">{}</p>\n", html_escape(view.warning));
  for (const std::string& problem : view.problems)
    out += fmt::format("<p class=\"note bad\" role=\"alert\">{}</p>\n", html_escape(problem));
  return out;
}

constexpr std::string_view kLinks =
    "<section class=\"card\" aria-labelledby=\"further\"><h2 id=\"further\">Look further</h2><ul>"
    "<li><a href=\"/api/v1/jobs\">All jobs</a> <span class=\"soft small\">JSON</span></li>"
    "<li><a href=\"/api/v1/workflows\">Workflow runs</a> <span class=\"soft small\">JSON</span></li>"
    "<li><a href=\"/api/v1/datasets\">Datasets</a> <span class=\"soft small\">JSON</span></li>"
    "<li><a href=\"/api/v1/models\">Models</a> <span class=\"soft small\">JSON</span></li>"
    "<li><a href=\"/api/v1/runs\">Tracked runs with their metrics</a> <span class=\"soft small\">JSON</span></li>"
    "<li><a href=\"/metrics\">Metrics of the server</a> <span class=\"soft small\">text</span></li></ul></section>\n";

std::string footer(const StatusView& view) {
  return view.refreshing ? fmt::format("<footer>This page refreshes itself every {} s. <a href=\"/?refresh=off\">Pause</a></footer>",
                                       kPageRefreshSeconds)
                         : "<footer>Refreshing is paused. <a href=\"/\">Resume</a></footer>";
}

}  // namespace

std::string render_status(const StatusView& view) {
  const TableCard jobs{"jobs",
                       "Jobs",
                       "Newest first; the number leads to the job.",
                       "<th scope=\"col\">Job</th><th scope=\"col\">Name</th><th scope=\"col\">State</th><th scope=\"col\">Why</th>"
                       "<th scope=\"col\" class=\"wide\">Submitted</th><th scope=\"col\" class=\"wide\">Ran for</th>",
                       job_rows(view),
                       "No job was submitted yet. Start one: <code>trainyard job submit --follow -- echo hello</code>",
                       true};
  const TableCard workflows{
      "workflows",
      "Workflows",
      "Newest first; the number leads to the run.",
      "<th scope=\"col\">Run</th><th scope=\"col\">Workflow</th><th scope=\"col\">State</th><th scope=\"col\">Done</th>"
      "<th scope=\"col\" class=\"wide\">Started</th>",
      workflow_rows(view),
      "No workflow was run yet. Run one: <code>trainyard workflow run FILE</code>",
      true};
  const TableCard nodes{
      "nodes",
      "Nodes",
      "Machines that run jobs, and what each has.",
      "<th scope=\"col\">Node</th><th scope=\"col\">State</th><th scope=\"col\">CPU</th><th scope=\"col\">Memory</th>",
      node_rows(view),
      "No machine runs jobs here. <code>trainyard up</code> brings its own; add another with <code>trainyard agent</code>"};
  const TableCard models{"models",
                         "Models",
                         "Registered models, their newest version and what their aliases name.",
                         "<th scope=\"col\">Model</th><th scope=\"col\">Newest</th><th scope=\"col\">Aliases</th>",
                         model_rows(view),
                         "No model is registered yet. A workflow does it with a <code>register</code> task."};
  return fmt::format(
      "<h1>{}</h1><p class=\"soft\">Version {} · up {}</p>\n{}{}{}{}<div class=\"cards\"><div>{}</div><div>{}</div></div>\n{}{}",
      html_escape(view.url), html_escape(view.version), span_text(view.uptime), notices(view), tiles(view), table_card(jobs),
      table_card(workflows), table_card(nodes), table_card(models), kLinks, footer(view));
}

}  // namespace trainyard::apps
