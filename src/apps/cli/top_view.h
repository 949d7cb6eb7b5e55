#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "apps/cli/task_lines.h"
#include "base/document.h"

namespace trainyard::apps {

/// What was fetched for one picture.
struct TopData {
  std::string url;
  TimePoint at;
  std::vector<Document> queues;
  std::vector<Document> nodes;
  std::vector<Document> jobs;  ///< Those that live first, then the newest of the others.
  std::string log_job;         ///< Whose log `log` is.
  std::vector<std::string> log;
  std::string problem;  ///< Why the data is not fresh; empty: it is.
};

enum class TopKey { kUp, kDown, kPageUp, kPageDown, kTab, kLog, kCancel, kYes, kNo, kQuit };

/// What the person in front of it has chosen.
struct TopState {
  enum class Part { kJobs, kNodes };
  Part part = Part::kJobs;
  std::string selected_job;  ///< Id; empty: the first one.
  std::string selected_node;
  bool shows_log = true;
  std::string asks_cancel;  ///< Id of the job that would be cancelled; empty: no question is open.
  std::string note;         ///< What came of the last action.
};

/// What a key asks for beyond a change of the state.
struct TopAction {
  bool quit = false;
  std::string cancel;  ///< Id of a job.
};

/// Changes `state` as the key says.
TopAction press(TopState& state, const TopData& data, TopKey key);

/// The index of the selected job; none when there are no jobs.
std::optional<std::size_t> selected_job(const TopState& state, const TopData& data);

/// Turns bytes of a terminal into keys; escape sequences may come in pieces.
class KeyReader {
 public:
  std::vector<TopKey> feed(std::string_view bytes);

 private:
  std::string begun_;
};

/// The picture: at most `style.rows` lines of at most `style.columns` columns, without line ends. Colours and reverse video only with
/// `style.color` and `style.live`.
std::vector<std::string> draw_top(const TopData& data, const TopState& state, const OutputStyle& style);

/// "[####----]": `width` cells of which a share of used/total is filled.
std::string bar(double used, double total, std::size_t width);

}  // namespace trainyard::apps
