#include "apps/cli/selectors.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include "apps/cli/command_line.h"
#include "domain/job_state.h"

namespace trainyard::apps {
namespace {

constexpr std::uint64_t kRangeMax = 10'000;
/// Elements that are newer than the job submitted last; with more of them it is taken to be their array.
constexpr int kElementsPassedMax = 1'000;
/// Of jobs that a state or a label selects.
constexpr std::int64_t kSelectedMax = 100'000;

struct StateWord {
  std::string word;
  std::vector<std::string> states;
};

const std::vector<StateWord>& state_words() {
  static const std::vector<StateWord> table{
      {"@queued", {"QUEUED"}},
      {"@running", {"STARTING", "RUNNING"}},
      {"@live", {"QUEUED", "STARTING", "RUNNING", "STOPPING"}},
      {"@failed", {"FAILED", "TIMED_OUT"}},
      {"@succeeded", {"SUCCEEDED"}},
      {"@cancelled", {"CANCELLED"}},
  };
  return table;
}

Error not_understood(std::string_view text) {
  return invalid_argument("cli.selector",
                          fmt::format("this selects no job: write an id, 1-5, 1,3,7, 17[3] for an element of an array, last, or {}: \"{}\"",
                                      fmt::join(state_selectors(), " "), text));
}

std::optional<std::uint64_t> number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

/// "3" or "1-5".
std::optional<std::pair<std::uint64_t, std::uint64_t>> range(std::string_view text) {
  const std::size_t dash = text.find('-');
  const std::optional<std::uint64_t> first = number(text.substr(0, dash));
  const std::optional<std::uint64_t> last = dash == std::string_view::npos ? first : number(text.substr(dash + 1));
  if (!first || !last || *first > *last || *last - *first >= kRangeMax) return std::nullopt;
  return std::pair(*first, *last);
}

Result<JobSelector> parse_part(std::string_view part) {
  JobSelector selector;
  if (part == "last") return selector;
  if (part.starts_with('@')) {
    selector.kind = JobSelector::Kind::kStates;
    selector.states = states_of(part);
    if (selector.states.empty()) return not_understood(part);
    return selector;
  }
  const std::size_t bracket = part.find('[');
  const bool element = bracket != std::string_view::npos && part.ends_with(']');
  const auto ids = range(element ? part.substr(bracket + 1, part.size() - bracket - 2) : part);
  const std::optional<std::uint64_t> array = element ? number(part.substr(0, bracket)) : 0;
  if (!ids || !array) return not_understood(part);
  selector.kind = element ? JobSelector::Kind::kElements : JobSelector::Kind::kRange;
  selector.array = *array;
  selector.first = ids->first;
  selector.last = ids->second;
  return selector;
}

bool carries(const Document& job, const std::vector<std::string>& labels) {
  return std::all_of(labels.begin(), labels.end(), [&job](const std::string& label) {
    const std::size_t equals = label.find('=');
    const Document* value = job["spec"]["labels"].find(label.substr(0, equals));
    return value != nullptr && (equals == std::string::npos || value->text() == label.substr(equals + 1));
  });
}

class Resolver {
 public:
  Resolver(client::ApiClient& api, const std::vector<std::string>& labels) : api_(api), labels_(labels) {}

  Result<void> add(const JobSelector& selector) {
    switch (selector.kind) {
      case JobSelector::Kind::kLast:
        return add_last();
      case JobSelector::Kind::kStates:
        return add_listed(Query().add("state", fmt::format("{}", fmt::join(selector.states, ","))).text(), selector.states);
      case JobSelector::Kind::kRange:
        for (std::uint64_t id = selector.first; id <= selector.last; ++id) TRY(add_id(std::to_string(id)));
        return {};
      case JobSelector::Kind::kElements:
        return add_elements(selector);
    }
    return {};
  }

  /// Every job that carries the labels, whatever its state.
  Result<void> add_labelled() { return add_listed("", {}); }

  std::vector<std::string> take() { return std::move(ids_); }

 private:
  void add_once(const std::string& id) {
    if (std::find(ids_.begin(), ids_.end(), id) == ids_.end()) ids_.push_back(id);
  }

  Result<void> add_id(const std::string& id) {
    if (!labels_.empty()) {
      ASSIGN_OR_RETURN(const Document job, api_.get("/api/v1/jobs/" + id));
      if (!carries(job, labels_)) return {};
    }
    add_once(id);
    return {};
  }

  /// Elements of an array are made as it runs: they were not submitted.
  Result<void> add_last() {
    std::string array;
    for (const int count : {8, kElementsPassedMax}) {
      ASSIGN_OR_RETURN(const Document page, api_.get(fmt::format("/api/v1/jobs?fields=id,array_parent&limit={}", count)));
      for (const Document& job : page["jobs"].items()) {
        if (job["array_parent"].is_null()) return add_id(job["id"].text());
        if (array.empty()) array = job["array_parent"].text();
      }
    }
    if (!array.empty()) return add_id(array);
    return not_found("job.unknown", "there is no job yet: submit one with `trainyard job submit -- COMMAND`");
  }

  /// The server filters; what it sends is looked at again, since something may be done to these jobs.
  Result<void> add_listed(std::string query, const std::vector<std::string>& states) {
    query += (query.empty() ? "?" : "&") + std::string(labels_.empty() ? "fields=id,state" : "fields=id,state,spec");
    for (const std::string& label : labels_) query += (query.empty() ? "?label=" : "&label=") + net::percent_encode(label);
    ASSIGN_OR_RETURN(const Document page, fetch_list(api_, "/api/v1/jobs" + query, "jobs", kSelectedMax));
    for (const Document& job : page["jobs"].items()) {
      const bool in_state = states.empty() || std::find(states.begin(), states.end(), job["state"].text()) != states.end();
      if (in_state && carries(job, labels_)) add_once(job["id"].text());
    }
    return {};
  }

  /// An array makes its elements when they are about to start, in the order of their indices. To leave out those that are not made yet
  /// without a word would let run what was to be cancelled.
  Result<void> add_elements(const JobSelector& selector) {
    const std::string array = std::to_string(selector.array);
    // Before its elements: what it makes in between is found among them.
    ASSIGN_OR_RETURN(const Document parent, api_.get("/api/v1/jobs/" + array));
    ASSIGN_OR_RETURN(
        const Document page,
        fetch_list(api_, fmt::format("/api/v1/jobs?fields=id,array_index,array_parent&array={}", selector.array), "jobs", kSelectedMax));
    std::vector<std::pair<std::int64_t, std::string>> found;
    std::uint64_t made = parent["array"]["created"].as_unsigned().value_or(0);
    for (const Document& job : page["jobs"].items()) {
      const Result<std::int64_t> index = job["array_index"].as_int();
      const bool of_array = job["array_parent"].as_unsigned().value_or(selector.array) == selector.array;
      if (!index.ok() || *index < 0 || !of_array) continue;
      const auto position = static_cast<std::uint64_t>(*index);
      made = std::max(made, position + 1);
      if (position >= selector.first && position <= selector.last) found.emplace_back(*index, job["id"].text());
    }
    std::sort(found.begin(), found.end());
    TRY(check_elements(selector, parent, made));
    if (found.empty()) {
      return not_found("job.unknown_element",
                       "the element is not listed, it may not be yours to see: " + named(selector.array, selector.first, selector.last));
    }
    for (const auto& [index, id] : found) TRY(add_id(id));
    return {};
  }

  /// `made`: how many elements there are so far.
  static Result<void> check_elements(const JobSelector& selector, const Document& parent, std::uint64_t made) {
    const std::uint64_t count = parent["array"]["count"].as_unsigned().value_or(0);
    const std::string asked = named(selector.array, selector.first, selector.last);
    if (count == 0) return not_found("job.no_array", fmt::format("job {} is no array and has no elements: {}", selector.array, asked));
    if (selector.last >= count) {
      return not_found("job.unknown_element", fmt::format("the elements of array {} are {}[0-{}], this is not among them: {}",
                                                          selector.array, selector.array, count - 1, asked));
    }
    if (selector.last < made) return {};
    return not_made(selector, parent, made);
  }

  static Error not_made(const JobSelector& selector, const Document& parent, std::uint64_t made) {
    const std::string missing = named(selector.array, std::max(selector.first, made), selector.last);
    const std::optional<JobState> state = job_state_from(parent["state"].text());
    if (state && (is_terminal(*state) || *state == JobState::kStopping)) {
      return not_found("job.unknown_element", fmt::format("the array ended before it made this element: {}", missing));
    }
    return failed_precondition(
        "job.element_not_made",
        fmt::format("an array makes an element into a job when it is about to start, and before that nothing can be done to it alone: {0} "
                    "({1} of {2} are made); nothing was done. `trainyard job hold {3}` keeps the array from making more, `trainyard job "
                    "cancel {3}` ends all of it",
                    missing, made, parent["array"]["count"].as_unsigned().value_or(0), selector.array));
  }

  static std::string named(std::uint64_t array, std::uint64_t first, std::uint64_t last) {
    return first == last ? fmt::format("{}[{}]", array, first) : fmt::format("{}[{}-{}]", array, first, last);
  }

  client::ApiClient& api_;
  const std::vector<std::string>& labels_;
  std::vector<std::string> ids_;
};

}  // namespace

std::vector<std::string> states_of(std::string_view word) {
  for (const StateWord& known : state_words()) {
    if (known.word == word) return known.states;
  }
  return {};
}

const std::vector<std::string>& state_selectors() {
  static const std::vector<std::string> words = [] {
    std::vector<std::string> made;
    for (const StateWord& known : state_words()) made.push_back(known.word);
    return made;
  }();
  return words;
}

Result<std::vector<JobSelector>> parse_job_selector(std::string_view text) {
  std::vector<JobSelector> selectors;
  std::string_view rest = text;
  do {
    const std::size_t comma = std::min(rest.find(','), rest.size());
    ASSIGN_OR_RETURN(JobSelector selector, parse_part(rest.substr(0, comma)));
    selectors.push_back(std::move(selector));
    rest.remove_prefix(std::min(comma + 1, rest.size()));
  } while (!rest.empty());
  return selectors;
}

Result<std::vector<std::string>> resolve_jobs(client::ApiClient& api, const std::vector<std::string>& words,
                                              const std::vector<std::string>& labels) {
  Resolver resolver(api, labels);
  for (const std::string& word : words) {
    ASSIGN_OR_RETURN(const std::vector<JobSelector> selectors, parse_job_selector(word));
    for (const JobSelector& selector : selectors) TRY(resolver.add(selector));
  }
  if (words.empty()) TRY(resolver.add_labelled());
  std::vector<std::string> ids = resolver.take();
  if (ids.empty())
    return not_found("job.none_selected", fmt::format("no job is selected by {}", fmt::join(words.empty() ? labels : words, " ")));
  return ids;
}

Result<std::string> resolve_job(client::ApiClient& api, const std::string& selector) {
  ASSIGN_OR_RETURN(const std::vector<std::string> ids, resolve_jobs(api, {selector}, {}));
  if (ids.size() == 1) return ids.front();
  return invalid_argument("cli.one_job", fmt::format("this takes one job, but {} are selected: {}", ids.size(), selector));
}

}  // namespace trainyard::apps
