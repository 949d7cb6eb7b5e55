#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "base/document.h"
#include "client/server_address.h"

namespace trainyard::apps {

/// Which run of a data directory a demo shows.
struct RunChoice {
  enum class Kind { kStart, kContinue, kShow };
  Kind kind = Kind::kStart;
  std::string id;    ///< Of the run to continue or show.
  std::string note;  ///< For people; empty when there was nothing to choose.
};

/// `page` is what /api/v1/workflows answers, newest first. An unfinished run of this workflow is continued, one that succeeded is shown,
/// and behind one that failed a new one starts; with `fresh` always a new one.
RunChoice choose_run(const Document& page, std::string_view workflow, bool fresh);

/// Ids of service jobs that earlier runs of this workflow left running and a new run would have to share the machine with.
std::vector<std::string> services_of_earlier_runs(const Document& page, std::string_view workflow);

/// {"ok","seconds","test_accuracy","steps":[{"name","ok","seconds","figures","reason"?}],"reason"?}
Document summary_of(const Document& run, double seconds);

/// Steps, states, times with their share of the whole, and results. `seconds` is the whole; what no step accounts for has a line of its
/// own. For a run that was not started by this demo there is no whole: shares are left out.
struct DemoTimes {
  double seconds = 0;
  double startup_seconds = 0;
  bool whole_run = true;
};
std::string demo_table(const Document& run, const DemoTimes& times);

/// "test accuracy 0.8972; predict: accuracy 0.894, p50 0.163 ms, p99 0.245 ms, 5404 images/s"; empty when there are no such figures.
std::string demo_headline(const Document& run);

/// The first step that failed by itself, or a null document.
const Document& failed_step(const Document& run);
/// Its job, or the first failed one of several; empty when it has none.
std::string failed_job(const Document& step);
/// The last `count` lines.
std::string last_lines(std::string_view text, std::size_t count);

/// A word for a shell, quoted where needed.
std::string shell_word(std::string_view text);

/// Commands to look further, ready to be pasted.
struct WaysOn {
  std::string program;  ///< The CLI, as it can be called from anywhere.
  client::ServerAddress address;
  std::string run_id;
  std::string model_url;  ///< Of the model server; empty when there is none.
  std::string model;
};
std::string commands_to_look_further(const WaysOn& ways);
/// Where a served model can be reached, by the steps of the run: fills model_url and model.
void find_served_model(const Document& run, WaysOn& ways);

}  // namespace trainyard::apps
