#include "sim/svg.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>

#include "sim/internal/lanes.h"
#include "sim/job_request.h"

namespace trainyard::sim {
namespace {

constexpr double kWidth = 1200;
constexpr double kLeft = 84;
constexpr double kRight = 24;
constexpr double kPlot = kWidth - kLeft - kRight;
constexpr std::size_t kBins = 540;
constexpr std::size_t kColours = 7;

/// Colours of Paul Tol's bright scheme: told apart by most eyes, on light and on dark.
constexpr std::string_view kStyle = R"(<style>
svg { color-scheme: light dark; --ground: #ffffff; --ink: #24292f; --faint: #d0d7de; --note: #57606a; --use: #4477aa; --wait: #ee6677;
  font: 13px system-ui, sans-serif }
@media (prefers-color-scheme: dark) { svg { --ground: #16181d; --ink: #e6e9ee; --faint: #3a404a; --note: #a0a8b4; --use: #7fb0e0;
  --wait: #ff8fa0 } }
.ground { fill: var(--ground) } text { fill: var(--ink) } .title { font-size: 18px; font-weight: 600 } .note { fill: var(--note) }
.axis { stroke: var(--ink); stroke-width: 1; fill: none } .grid { stroke: var(--faint); stroke-width: 1 }
.jobs { stroke: var(--ground); stroke-width: .4 } .thin { stroke: none } .away { fill: var(--faint); stroke: none }
.cut { fill-opacity: .55; stroke: var(--ink); stroke-width: 1; stroke-dasharray: 3 2 }
.c0 { fill: #4477aa } .c1 { fill: #ee6677 } .c2 { fill: #228833 } .c3 { fill: #ccbb44 } .c4 { fill: #66ccee } .c5 { fill: #aa3377 }
.c6 { fill: #8a8f98 }
.use { fill: var(--use); fill-opacity: .35; stroke: var(--use); stroke-width: 1.5 }
.wait { fill: var(--wait); fill-opacity: .3; stroke: var(--wait); stroke-width: 1.5 }
</style>
)";

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '&':
        out += "&amp;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

/// At most one place behind the point, none when it is 0.
std::string shortest(double value) {
  std::string text = fmt::format("{:.1f}", value);
  if (text.ends_with(".0")) text.resize(text.size() - 2);
  return text;
}

/// "82,247".
std::string grouped(std::uint64_t number) {
  std::string digits = std::to_string(number);
  for (std::size_t at = digits.size(); at > 3;) digits.insert(at -= 3, ",");
  return digits;
}

/// 1, 2 or 5 times a power of ten, so that there are at most `most` steps up to `value`.
double nice_step(double value, double most) {
  const double least = value / most;
  const double power = std::pow(10, std::floor(std::log10(least)));
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (factor * power >= least * 0.999) return factor * power;
  }
  return 10 * power;
}

struct TimeUnit {
  std::string_view name;
  double seconds;
};

TimeUnit unit_for(double seconds) {
  constexpr std::array<TimeUnit, 4> kUnits{{{"days", 86400}, {"hours", 3600}, {"minutes", 60}, {"seconds", 1}}};
  for (const TimeUnit& unit : kUnits) {
    if (seconds >= 3 * unit.seconds) return unit;
  }
  return kUnits.back();
}

class Picture {
 public:
  Picture(const Trace& trace, const Machine& machine, const SimulationResult& result, const PictureSettings& settings)
      : trace_(trace), machine_(machine), result_(result), settings_(settings), by_queue_(trace.queues.size() > 1) {
    for (const Segment& segment : result.segments) end_ = std::max(end_, segment.end);
    for (const TraceJob& job : trace.jobs) end_ = std::max(end_, job.submit);
    end_ = std::max(end_, Duration(1));
    choose_colours();
  }

  std::string draw() {
    const LanePlan lanes = assign_lanes(trace_, machine_, result_);
    text(kLeft, 28, settings_.title, "title");
    text(kLeft, 47, settings_.subtitle, "note");
    if (settings_.gantt) {
      legend(69);
    } else {
      text(kLeft, 69, "means over equal stretches of time", "note");
    }
    const double gantt_height = std::clamp(static_cast<double>(lanes.lanes) * 14, 120.0, 460.0);
    double top = 92;
    if (settings_.gantt) {
      gantt(lanes, top, gantt_height);
      top += gantt_height + 46;
    }
    const double capacity = static_cast<double>(machine_.has_gpus() ? machine_.gpus() : machine_.procs());
    curve(use(), {machine_.has_gpus() ? "GPUs in use (%)" : "processors in use (%)", "use", top, 130, 100 / capacity, 100});
    top += 130 + 46;
    const std::vector<double> waiting = waits();
    // Up to a round number, so that the axis ends at a tick.
    const double longest = std::max(1.0, *std::max_element(waiting.begin(), waiting.end()));
    const double step = std::max(1.0, nice_step(longest, 4));
    const double most = step * std::ceil(longest / step);
    curve(waiting, {"waiting jobs", "wait", top, 130, 1, most});
    top += 130;
    time_labels(top);
    top += 52;
    const std::string head = fmt::format(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0:.0f} {1:.0f}\" width=\"{0:.0f}\" height=\"{1:.0f}\" "
        "role=\"img\" aria-label=\"{2}\">\n",
        kWidth, top, escaped(settings_.title));
    return head + std::string(kStyle) + fmt::format("<rect class=\"ground\" width=\"{:.0f}\" height=\"{:.0f}\"/>\n", kWidth, top) + body_ +
           "</svg>\n";
  }

 private:
  struct Panel {
    std::string_view label;
    std::string_view style;
    double top;
    double height;
    double scale;  ///< From the quantity to what is shown.
    double most;   ///< Of what is shown.
  };

  double x(Duration time) const { return kLeft + kPlot * static_cast<double>(time.count()) / static_cast<double>(end_.count()); }

  void text(double at_x, double y, std::string_view words, std::string_view style, std::string_view anchor = "start") {
    body_ +=
        fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" class=\"{}\" text-anchor=\"{}\">{}</text>\n", at_x, y, style, anchor, escaped(words));
  }

  void upright(double middle, std::string_view words) {
    body_ += fmt::format("<text transform=\"translate(20 {:.1f}) rotate(-90)\" text-anchor=\"middle\">{}</text>\n", middle, escaped(words));
  }

  const std::string& group_name(const TraceJob& job) const {
    return by_queue_ ? trace_.queues.name(job.queue) : trace_.users.name(job.user);
  }

  /// The groups with the most running time get colours of their own.
  void choose_colours() {
    std::map<std::string, double> time;
    for (const Segment& segment : result_.segments) {
      time[group_name(trace_.jobs[segment.job])] += static_cast<double>((segment.end - segment.start).count()) * segment.tasks;
    }
    std::vector<std::pair<std::string, double>> order(time.begin(), time.end());
    std::stable_sort(order.begin(), order.end(), [](const auto& a, const auto& b) { return a.second > b.second; });
    const std::size_t own = order.size() <= kColours ? order.size() : kColours - 1;
    for (std::size_t i = 0; i < own; ++i) {
      colour_[order[i].first] = i;
      legend_.push_back(order[i].first);
    }
    others_ = order.size() - own;
  }

  /// With one group alone colours only tell neighbours apart.
  std::size_t colour_of(std::uint32_t number) const {
    const TraceJob& job = trace_.jobs[number];
    if (colour_.size() == 1) return number % kColours;
    const auto found = colour_.find(group_name(job));
    return found == colour_.end() ? kColours - 1 : found->second;
  }

  void legend(double y) {
    double at_x = kLeft;
    const auto entry = [this, y, &at_x](std::string_view style, std::string_view words) {
      body_ += fmt::format("<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"12\" height=\"12\" class=\"{}\"/>\n", at_x, y - 11, style);
      text(at_x + 17, y, words, "");
      const auto characters =
          std::count_if(words.begin(), words.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; });
      at_x += 34 + 7.2 * static_cast<double>(characters);
    };
    if (colour_.size() > 1) {
      text(at_x, y, by_queue_ ? "queue:" : "user:", "note");
      at_x += by_queue_ ? 52 : 44;
      for (std::size_t i = 0; i < legend_.size(); ++i) entry(fmt::format("c{}", i), cut_name(legend_[i]));
    } else {
      text(at_x, y, "one rectangle is one job on its hosts; colours only tell jobs apart", "note");
      at_x += 456;
    }
    if (others_ > 0) entry(fmt::format("c{}", kColours - 1), fmt::format("{} others", others_));
    const bool cut = std::any_of(result_.segments.begin(), result_.segments.end(), [](const Segment& segment) { return was_cut(segment); });
    if (cut) entry("cut ground", "cut short");
    if (!result_.outages.empty()) entry("away", "node away");
  }

  /// At most 16 characters, not cut inside one.
  static std::string cut_name(const std::string& name) {
    std::size_t length = 0;
    std::size_t characters = 0;
    for (; length < name.size(); ++length) {
      if ((static_cast<unsigned char>(name[length]) & 0xC0U) != 0x80U && ++characters > 16) break;
    }
    return length == name.size() ? name : name.substr(0, length) + "…";
  }

  static bool was_cut(const Segment& segment) {
    return segment.state != SegmentState::kSucceeded && segment.state != SegmentState::kResized;
  }

  void gantt(const LanePlan& lanes, double top, double height) {
    frame(top, height);
    upright(top + height / 2, machine_.has_gpus()                                                    ? "GPU"
                              : machine_.procs() == static_cast<std::int64_t>(machine_.nodes.size()) ? "host"
                                                                                                     : "processor");
    const double lane = height / std::max(1.0, static_cast<double>(lanes.lanes));
    const double step = std::max(1.0, nice_step(static_cast<double>(lanes.lanes), 8));
    for (double tick = 0; tick < static_cast<double>(lanes.lanes); tick += step) {
      text(kLeft - 8, top + lane * tick + std::min(lane, 12.0), grouped(static_cast<std::uint64_t>(tick)), "note", "end");
    }
    std::vector<LaneBlock> blocks = lanes.blocks;
    const std::size_t all = blocks.size();
    if (all > settings_.rectangles_max) keep_largest(blocks);
    body_ += "<g class=\"jobs\">\n";
    outages(lanes, top, lane);
    for (const LaneBlock& block : blocks) rectangle(block, top, lane);
    body_ += "</g>\n";
    std::string note;
    if (blocks.size() < all) note = fmt::format("the {} largest of {} stretches are drawn", grouped(blocks.size()), grouped(all));
    if (lanes.without_lane > 0) {
      note += fmt::format("{}{} stretches without GPUs are not drawn", note.empty() ? "" : "; ", grouped(lanes.without_lane));
    }
    if (!note.empty()) text(kWidth - kRight, top + height + 18, note, "note", "end");
  }

  void keep_largest(std::vector<LaneBlock>& blocks) const {
    const auto size = [this](const LaneBlock& block) {
      const Segment& segment = result_.segments[block.segment];
      return static_cast<double>((segment.end - segment.start).count()) * block.count;
    };
    std::stable_sort(blocks.begin(), blocks.end(), [&size](const LaneBlock& a, const LaneBlock& b) { return size(a) > size(b); });
    blocks.resize(settings_.rectangles_max);
  }

  /// Where nodes were lost, behind the jobs.
  void outages(const LanePlan& lanes, double top, double lane) {
    for (const Outage& outage : result_.outages) {
      const double left = x(std::min(outage.from, end_));
      const double first = static_cast<double>(lanes.first_of_node[outage.node]);
      const double count = static_cast<double>(lanes.first_of_node[outage.node + 1]) - first;
      if (count == 0) continue;
      place(left, top + lane * first, x(std::min(outage.to, end_)) - left, lane * count, "away");
      body_ += fmt::format("<title>node {}</title></rect>\n", escaped(machine_.nodes[outage.node].name));
    }
  }

  /// Opens a rectangle; small files matter more than hundredths of a pixel.
  void place(double left, double top, double width, double height, std::string_view style) {
    body_ += fmt::format("<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" class=\"{}\">", shortest(left), shortest(top),
                         shortest(std::max(width, 0.5)), shortest(std::max(height, 0.5)), style);
  }

  void rectangle(const LaneBlock& block, double top, double lane) {
    const Segment& segment = result_.segments[block.segment];
    const TraceJob& job = trace_.jobs[segment.job];
    const double left = x(segment.start);
    const double width = x(segment.end) - left;
    const double height = lane * block.count;
    // On thin rectangles an outline would hide the colour.
    const bool thin = height < 4 || width < 2;
    const std::string_view style = was_cut(segment) && height >= 4 ? "cut " : thin ? "thin " : "";
    place(left, top + lane * block.first, width, height, fmt::format("{}c{}", style, colour_of(segment.job)));
    body_ += fmt::format("<title>{}: {:.0f}-{:.0f} s", escaped(job.id), static_cast<double>(segment.start.count()) / 1e6,
                         static_cast<double>(segment.end.count()) / 1e6);
    if (segment.state != SegmentState::kSucceeded) body_ += fmt::format(", {}", name_of(segment.state));
    body_ += "</title></rect>\n";
  }

  void frame(double top, double height) {
    const TimeUnit unit = unit_for(seconds());
    const double step = nice_step(seconds() / unit.seconds, 12) * unit.seconds;
    for (double tick = 0; tick <= seconds() * 1.0001; tick += step) {
      const double at_x = kLeft + kPlot * tick / seconds();
      body_ += fmt::format("<line x1=\"{0:.1f}\" x2=\"{0:.1f}\" y1=\"{1:.1f}\" y2=\"{2:.1f}\" class=\"grid\"/>\n", at_x, top, top + height);
    }
    body_ += fmt::format("<path d=\"M{0:.1f} {1:.1f}V{2:.1f}H{3:.1f}\" class=\"axis\"/>\n", kLeft, top, top + height, kLeft + kPlot);
  }

  void time_labels(double bottom) {
    const TimeUnit unit = unit_for(seconds());
    const double step = nice_step(seconds() / unit.seconds, 12);
    for (double tick = 0; tick * unit.seconds <= seconds() * 1.0001; tick += step) {
      text(kLeft + kPlot * tick * unit.seconds / seconds(), bottom + 18, fmt::format("{:g}", tick), "note", "middle");
    }
    text(kLeft + kPlot / 2, bottom + 40, fmt::format("time since the start of the trace ({})", unit.name), "", "middle");
  }

  double seconds() const { return static_cast<double>(end_.count()) / 1e6; }

  std::vector<double> use() const {
    BinnedCurve curve(end_, kBins);
    RequestMaker requests(trace_, machine_);
    for (const Segment& segment : result_.segments) {
      const JobRequest made = requests.request(trace_.jobs[segment.job]);
      const double milli = static_cast<double>(made.demand.amounts[machine_.has_gpus() ? sched::kGpu : sched::kCpu]);
      curve.add(segment.start, segment.end, milli / 1000 * segment.tasks);
    }
    return curve.means();
  }

  /// Jobs that wait: before their first stretch, and between two.
  std::vector<double> waits() const {
    BinnedCurve curve(end_, kBins);
    std::vector<Duration> waiting_since;
    for (const TraceJob& job : trace_.jobs) waiting_since.push_back(job.submit);
    for (const Segment& segment : result_.segments) {
      Duration& since = waiting_since[segment.job];
      if (segment.start > since) curve.add(since, segment.start, 1);
      since = segment.end;
    }
    for (std::size_t i = 0; i < trace_.jobs.size(); ++i) {
      if (result_.outcomes[i].fate == Fate::kUnfinished) curve.add(waiting_since[i], end_, 1);
    }
    return curve.means();
  }

  void curve(const std::vector<double>& values, const Panel& panel) {
    frame(panel.top, panel.height);
    upright(panel.top + panel.height / 2, panel.label);
    const double step = nice_step(panel.most, 4);
    for (double tick = 0; tick <= panel.most * 1.0001; tick += step) {
      const double y = panel.top + panel.height * (1 - tick / panel.most);
      text(kLeft - 8, y + 4, fmt::format("{:g}", tick), "note", "end");
      if (tick > 0) body_ += fmt::format("<path d=\"M{:.1f} {:.1f}H{:.1f}\" class=\"grid\"/>\n", kLeft, y, kLeft + kPlot);
    }
    std::string path = fmt::format("M{:.1f} {:.1f}", kLeft, panel.top + panel.height);
    for (std::size_t i = 0; i < values.size(); ++i) {
      const double y = panel.top + panel.height * (1 - std::min(1.0, values[i] * panel.scale / panel.most));
      const double right = kLeft + kPlot * static_cast<double>(i + 1) / static_cast<double>(values.size());
      const std::string level = shortest(y);
      if (i + 1 < values.size() && values[i + 1] == values[i]) continue;
      path += fmt::format("V{}H{}", level, shortest(right));
    }
    body_ += fmt::format("<path d=\"{}V{:.1f}Z\" class=\"{}\"/>\n", path, panel.top + panel.height, panel.style);
  }

  const Trace& trace_;
  const Machine& machine_;
  const SimulationResult& result_;
  const PictureSettings& settings_;
  bool by_queue_;
  Duration end_{0};
  std::map<std::string, std::size_t> colour_;
  std::vector<std::string> legend_;
  std::size_t others_ = 0;
  std::string body_;
};

}  // namespace

std::string schedule_svg(const Trace& trace, const Machine& machine, const SimulationResult& result, const PictureSettings& settings) {
  return Picture(trace, machine, result, settings).draw();
}

}  // namespace trainyard::sim
