#pragma once
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/document.h"
#include "base/time.h"

namespace trainyard::apps {

/// How output is drawn.
struct OutputStyle {
  bool live = false;         ///< Lines are redrawn in place; else they are only ever appended, without escape sequences for the cursor.
  bool color = false;        ///< States are coloured besides being named.
  std::size_t columns = 80;  ///< Of the terminal; live lines are cut there, since a wrapped line cannot be redrawn.
  std::size_t rows = 24;
};

/// What decides the style: the terminal and the variables NO_COLOR, FORCE_COLOR and TERM.
struct TerminalFacts {
  bool is_terminal = false;
  std::size_t columns = 0;  ///< 0: not known.
  std::size_t rows = 0;
};
using Variable = std::function<std::optional<std::string>(std::string_view name)>;
OutputStyle choose_style(const TerminalFacts& facts, const Variable& variable);

/// Seconds that a task took, or takes by `now`; none while it has not started, or has not ended and there is no `now`.
std::optional<double> task_seconds(const Document& task, std::optional<TimePoint> now = std::nullopt);

/// The figures of a task's result worth showing, as "steps 1875, test_accuracy 0.89": numbers other than zero, without those that only say
/// how the step was measured. The address for a task that made something ready.
std::string task_figures(const Document& task);

/// "457/1263 (36%) epoch 2 of 3": how far a running task is.
std::string task_progress(const Document& task);

/// One line about a task, without line break, at most `style.columns - 1` columns wide. Control characters of messages become spaces.
std::string task_line(const Document& task, std::size_t name_width, TimePoint now, const OutputStyle& style);

/// The text that shows a run by its tasks: what changes since the text before, given the states that were shown then.
class TaskLines {
 public:
  explicit TaskLines(OutputStyle style) : style_(style) {}
  /// On a terminal the whole block, over the one before; else a line per task whose state changed.
  std::string update(const Document& run, TimePoint now);

 private:
  OutputStyle style_;
  std::size_t drawn_ = 0;
  std::vector<std::string> states_;
};

/// The escape sequence of a state's colour, of jobs, tasks, nodes and queues.
std::string_view color_of_state(std::string_view state);

/// The first `columns` columns of a UTF-8 text, control characters replaced by spaces.
std::string fit(std::string_view text, std::size_t columns);

}  // namespace trainyard::apps
