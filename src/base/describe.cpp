#include "base/describe.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <numeric>

#include "base/advice.h"

namespace trainyard {
namespace {

struct SizeUnit {
  std::string_view suffix;
  std::int64_t bytes;
};
constexpr std::array<SizeUnit, 9> kSizeUnits{{{"TiB", 1LL << 40},
                                              {"GiB", 1LL << 30},
                                              {"MiB", 1LL << 20},
                                              {"KiB", 1LL << 10},
                                              {"TB", 1'000'000'000'000},
                                              {"GB", 1'000'000'000},
                                              {"MB", 1'000'000},
                                              {"kB", 1'000},
                                              {"B", 1}}};

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i + 1;
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t substituted = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({row[j] + 1, row[j + 1] + 1, substituted});
    }
  }
  return row.back();
}

std::string lower_case(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return lower;
}

/// "mem" for "memory", and the other way round: longer than a slip of the finger, and yet plain.
bool one_begins_the_other(std::string_view a, std::string_view b) {
  constexpr std::size_t kTelling = 3;
  return std::min(a.size(), b.size()) >= kTelling && (a.starts_with(b) || b.starts_with(a));
}

bool parse_number(std::string_view text, double& number, std::string_view& suffix) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || !std::isfinite(number)) return false;
  suffix = text.substr(static_cast<std::size_t>(end - text.data()));
  return true;
}

/// Reads fields out of an object and remembers the first fault.
class Decoder final : public FieldVisitor {
 public:
  /// `name`: of the field that holds the object; empty: it is the whole document.
  Decoder(const Document& document, const DecodeSettings& settings, std::string name = {})
      : document_(document), settings_(settings), name_(std::move(name)) {}

  void visit(std::string_view name, const Slot& slot, std::string_view) override {
    names_.emplace_back(name);
    if (error_ || !document_.is_object()) return;
    const Document* node = document_.find(name);
    if (node != nullptr && !node->is_null()) take(*node, slot);
  }
  void required() override {
    if (error_ || names_.empty() || !is_readable() || !document_[names_.back()].is_null()) return;
    fail("spec.missing_key", fmt::format("the key \"{}\" is required and missing here; add it", names_.back()), document_);
  }

  Result<void> finish() {
    if (!is_readable()) {
      fail("spec.type",
           fmt::format("{} must be an object, found {}; write its members, which are {}", name_.empty() ? "this" : name_,
                       shown_value(document_), fmt::join(names_, ", ")),
           document_);
    }
    if (error_) return *error_;
    for (const auto& [key, value] : document_.members()) {
      if (std::find(names_.begin(), names_.end(), key) != names_.end()) continue;
      fail("spec.unknown_key", fmt::format("unknown key \"{}\"{}; known keys: {}", key, did_you_mean(key, names_), fmt::join(names_, ", ")),
           value);
      return *error_;
    }
    return {};
  }

 private:
  static std::string did_you_mean(std::string_view text, const std::vector<std::string>& candidates) {
    const std::optional<std::string> match = nearest(text, candidates);
    return match ? fmt::format("; did you mean \"{}\"?", *match) : std::string();
  }

  /// An empty text stands for an object without members where files may be empty; the API is stricter.
  bool is_readable() const { return document_.is_object() || (document_.is_null() && (settings_.numbers_as_text || !name_.empty())); }

  /// Environment values are often written as numbers or booleans: they count as their text.
  static Result<std::string> scalar_text(const Document& item) {
    if (item.is_number() || item.kind() == Document::Kind::kBool) return to_json(item);
    return item.as_string();
  }

  void take(const Document& node, const Slot& slot) {
    std::visit([this, &node](const auto& kind) { take_slot(node, kind); }, slot.value);
  }
  void take_slot(const Document& node, const ScalarSlot& slot) {
    std::visit([this, &node, &slot](auto* value) { take_scalar(node, slot, *value); }, slot.value);
  }
  void take_slot(const Document& node, const ObjectSlot& slot) {
    Decoder inner(node, settings_, names_.back());
    slot.visit(inner);
    if (Result<void> result = inner.finish(); !result.ok() && !error_) error_ = std::move(result).error();
  }
  void take_slot(const Document& node, const ListSlot& slot) {
    if (!expect(node, node.is_array(), "a list", [](const Document&) -> std::string { return "a list, with [ and ] around it"; })) return;
    slot.resize(node.items().size());
    for (std::size_t i = 0; i < node.items().size() && !error_; ++i) {
      slot.item(i, [this, &node, i](const Slot& item) { take(node.items()[i], item); });
    }
  }
  void take_slot(const Document& node, const MapSlot& slot) {
    if (!expect(node, node.is_object(), "an object", meant_map)) return;
    slot.clear();
    for (const auto& [key, item] : node.members()) {
      if (error_) return;
      slot.add(key, [this, &node = item](const Slot& value) { take(node, value); });
    }
  }
  void take_slot(const Document& node, const OptionalSlot& slot) {
    slot.create();
    slot.value([this, &node](const Slot& value) { take(node, value); });
  }

  void take_scalar(const Document& node, const ScalarSlot&, bool& value) {
    assign(node, node.as_bool(), value, "true or false", meant_boolean);
  }
  void take_scalar(const Document& node, const ScalarSlot& slot, std::int64_t& value) {
    if (!is_number_here(node) || !assign(node, node.as_int(), value, "a whole number", meant_integer)) return;
    check_range(node, static_cast<double>(value), slot.range);
  }
  void take_scalar(const Document& node, const ScalarSlot& slot, double& value) {
    if (!is_number_here(node) ||
        !assign(node, node.as_double(), value, "a number", [](const Document&) -> std::string { return "a number, like 0.5"; }))
      return;
    check_range(node, value, slot.range);
  }
  void take_scalar(const Document& node, const ScalarSlot& slot, std::string& value) {
    if (!assign(node, node.as_string(), value, "a text", meant_text) || slot.allowed == nullptr) return;
    const std::vector<std::string_view>& allowed = *slot.allowed;
    if (std::find(allowed.begin(), allowed.end(), value) != allowed.end()) return;
    fail("spec.choice",
         fmt::format("{} must be one of {}{}: \"{}\"", names_.back(), fmt::join(allowed, ", "),
                     did_you_mean(value, {allowed.begin(), allowed.end()}), value),
         node);
  }
  void take_scalar(const Document& node, const ScalarSlot&, Duration& value) {
    assign_parsed(node, &parse_duration, value, "a duration", [](const Document& wrong) {
      const std::string meant = wrong.is_number() ? meant_duration(to_json(wrong)) : std::string();
      return meant.empty() ? "it like \"1h30m\"" : meant;
    });
  }
  void take_scalar(const Document& node, const ScalarSlot&, TimePoint& value) {
    assign_parsed(node, &parse_rfc3339, value, "a time", [](const Document&) -> std::string { return "it like \"2026-01-31T12:00:00Z\""; });
  }
  void take_scalar(const Document& node, const ScalarSlot&, ByteSize& value) {
    if (node.is_number()) {
      assign(node, node.as_int(), value.bytes, "a size", meant_size);
    } else {
      assign_parsed(node, &parse_byte_size, value, "a size", meant_size);
    }
    check_range(node, static_cast<double>(value.bytes), {.min = 0});
  }
  void take_scalar(const Document& node, const ScalarSlot&, MilliCpu& value) {
    if (double cores = 0; node.is_number()) {
      if (assign(node, node.as_double(), cores, "a CPU quantity", meant_cores) && check_range(node, cores, {.min = 0, .max = 1e9})) {
        value.milli = std::llround(cores * 1000);
      }
    } else {
      assign_parsed(node, &parse_milli_cpu, value, "a CPU quantity", meant_cores);
    }
  }
  void take_scalar(const Document& node, const ScalarSlot&, std::vector<std::string>& value) {
    if (!expect(node, node.is_array(), "a list of texts", meant_list)) return;
    value.clear();
    for (const Document& item : node.items()) {
      std::string text;
      if (!assign(item, item.as_string(), text, "a list of texts", meant_text)) return;
      value.push_back(std::move(text));
    }
  }
  void take_scalar(const Document& node, const ScalarSlot&, std::map<std::string, std::string>& value) {
    if (!expect(node, node.is_object(), "an object with texts as values", meant_map)) return;
    value.clear();
    for (const auto& [key, item] : node.members()) {
      if (!assign(item, scalar_text(item), value[key], "an object with texts as values", meant_text)) return;
    }
  }
  void take_scalar(const Document& node, const ScalarSlot&, Document& value) { value = node; }

  /// The reads of Document take a number in a text too.
  bool is_number_here(const Document& node) {
    return settings_.numbers_as_text || expect(node, !node.is_string(), "a number", meant_integer);
  }

  /// What to write instead of a wrong value; asked only when it is wrong.
  using Meant = std::string (*)(const Document& node);
  static std::string meant_size(const Document&) { return "it with a unit, like \"512MiB\""; }
  static std::string meant_cores(const Document&) { return "it like 2, 0.5 or \"900m\""; }

  bool expect(const Document& node, bool holds, std::string_view what, Meant meant) {
    if (!holds) {
      fail("spec.type", fmt::format("{} must be {}, found {}{}", names_.back(), what, shown_value(node), write_instead(meant(node))), node);
    }
    return holds;
  }

  template <typename T>
  bool assign(const Document& node, Result<T> result, T& value, std::string_view what, Meant meant) {
    if (!expect(node, result.ok(), what, meant)) return false;
    value = std::move(result).value();
    return true;
  }

  template <typename T>
  void assign_parsed(const Document& node, Result<T> (*parse)(std::string_view), T& value, std::string_view what, Meant meant) {
    std::string text;
    if (!assign(node, node.as_string(), text, what, meant)) return;
    Result<T> parsed = parse(text);
    if (parsed.ok()) {
      value = std::move(parsed).value();
    } else {
      fail(parsed.error().id, fmt::format("{}: {}", names_.back(), parsed.error().message), node);
    }
  }

  bool check_range(const Document& node, double value, Range range) {
    if (value >= range.min && value <= range.max) return true;
    if (range.max == std::numeric_limits<double>::max()) {
      fail("spec.range", fmt::format("{} must be at least {}: {}", names_.back(), range.min, value), node);
    } else {
      fail("spec.range", fmt::format("{} must lie between {} and {}: {}", names_.back(), range.min, range.max, value), node);
    }
    return false;
  }

  void fail(std::string id, std::string message, const Document& node) {
    if (!error_) error_ = invalid_argument(std::move(id), std::move(message), node.where());
  }

  const Document& document_;
  const DecodeSettings& settings_;
  const std::string name_;
  std::vector<std::string> names_;
  std::optional<Error> error_;
};

Document encoded(bool value) { return value; }
Document encoded(std::int64_t value) { return value; }
Document encoded(double value) { return value; }
Document encoded(const std::string& value) { return value; }
Document encoded(Duration value) { return format_duration(value); }
Document encoded(TimePoint value) { return to_rfc3339(value); }
Document encoded(ByteSize value) { return format_byte_size(value); }
Document encoded(MilliCpu value) { return fmt::format("{}m", value.milli); }
Document encoded(const std::vector<std::string>& value) {
  Document list = Document::array();
  for (const std::string& text : value) list.push(text);
  return list;
}
Document encoded(const std::map<std::string, std::string>& value) {
  Document object = Document::object();
  for (const auto& [key, text] : value) object.append_member(key, text);
  return object;
}
Document encoded(const Document& value) { return value; }

/// Null: the value is not written.
Document encoded(const Slot& slot);

Document encoded(const ScalarSlot& slot) {
  return std::visit([](auto* value) { return encoded(*value); }, slot.value);
}
Document encoded(const ObjectSlot& slot) { return encode_fields(slot.visit); }
Document encoded(const ListSlot& slot) {
  Document items = Document::array();
  for (std::size_t i = 0; i < slot.size; ++i) {
    slot.item(i, [&items](const Slot& item) { items.push(encoded(item)); });
  }
  return items;
}
Document encoded(const MapSlot& slot) {
  Document object = Document::object();
  slot.each([&object](const std::string& key, const Slot& value) { object.append_member(key, encoded(value)); });
  return object;
}
Document encoded(const OptionalSlot& slot) {
  Document out;
  if (slot.present) slot.value([&out](const Slot& value) { out = encoded(value); });
  return out;
}
Document encoded(const Slot& slot) {
  return std::visit([](const auto& kind) { return encoded(kind); }, slot.value);
}

class Encoder final : public FieldVisitor {
 public:
  void visit(std::string_view name, const Slot& slot, std::string_view) override {
    if (Document value = encoded(slot); !value.is_null()) out_.set(name, std::move(value));
  }
  void required() override {}
  Document take() { return std::move(out_); }

 private:
  Document out_ = Document::object();
};

}  // namespace

Result<ByteSize> parse_byte_size(std::string_view text) {
  double number = 0;
  std::string_view suffix;
  if (parse_number(text, number, suffix) && number >= 0) {
    if (suffix.empty()) suffix = "B";
    const auto unit = std::find_if(kSizeUnits.begin(), kSizeUnits.end(), [suffix](const SizeUnit& u) { return u.suffix == suffix; });
    // Bytes are read as an integer where they are one: beyond 2^53 a double is not exact.
    std::int64_t bytes = 0;
    const std::string_view digits = text.substr(0, text.find('B'));
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), bytes);
    if (suffix == "B" && error == std::errc() && end == digits.data() + digits.size()) return ByteSize{bytes};
    if (unit != kSizeUnits.end() && number * static_cast<double>(unit->bytes) < 9e18) {
      return ByteSize{std::llround(number * static_cast<double>(unit->bytes))};
    }
  }
  return invalid_argument("spec.byte_size", fmt::format("a size is a number with a unit like \"512MiB\" or \"16GiB\", not \"{}\"{}", text,
                                                        write_instead(meant_byte_size(text))));
}

std::string format_byte_size(ByteSize size) {
  for (const SizeUnit& unit : kSizeUnits) {
    if (size.bytes >= unit.bytes && size.bytes % unit.bytes == 0 && unit.suffix.size() != 2) {
      return fmt::format("{}{}", size.bytes / unit.bytes, unit.suffix);
    }
  }
  return fmt::format("{}B", size.bytes);
}

Result<MilliCpu> parse_milli_cpu(std::string_view text) {
  double number = 0;
  std::string_view suffix;
  if (parse_number(text, number, suffix) && number >= 0 && number < 1e9) {
    if (suffix == "m") return MilliCpu{std::llround(number)};
    if (suffix.empty()) return MilliCpu{std::llround(number * 1000)};
  }
  return invalid_argument(
      "spec.cpu", fmt::format("a CPU quantity is written like 2, 0.5 or \"900m\", not \"{}\"{}", text, write_instead(meant_cpu(text))));
}

Result<void> decode_fields(const Document& document, const DescribeFunction& describe, const DecodeSettings& settings) {
  Decoder decoder(document, settings);
  describe(decoder);
  return decoder.finish();
}

Document encode_fields(const DescribeFunction& describe) {
  Encoder encoder;
  describe(encoder);
  return encoder.take();
}

std::optional<std::string> nearest(std::string_view text, const std::vector<std::string>& candidates) {
  const std::string* best = nullptr;
  const std::string wanted = lower_case(text);
  std::size_t best_distance = std::max<std::size_t>(2, text.size() / 3) + 1;
  for (const std::string& candidate : candidates) {
    const std::string known = lower_case(candidate);
    // What begins like the other is as near as a candidate may be.
    const std::size_t distance =
        one_begins_the_other(wanted, known) ? std::min(edit_distance(wanted, known), best_distance - 1) : edit_distance(wanted, known);
    if (distance < best_distance && distance < candidate.size()) {
      best_distance = distance;
      best = &candidate;
    }
  }
  return best == nullptr ? std::nullopt : std::optional(*best);
}

}  // namespace trainyard
