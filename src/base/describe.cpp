#include "base/describe.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <numeric>

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

bool parse_number(std::string_view text, double& number, std::string_view& suffix) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || !std::isfinite(number)) return false;
  suffix = text.substr(static_cast<std::size_t>(end - text.data()));
  return true;
}

/// Reads fields out of an object and remembers the first fault.
class Decoder final : public FieldVisitor {
 public:
  explicit Decoder(const Document& document) : document_(document) {
    if (!document.is_object() && !document.is_null()) {
      fail("spec.type", fmt::format("expected an object, found {}", name_of(document.kind())), document);
    }
  }

  void field(std::string_view name, bool& value, std::string_view) override {
    if (const Document* node = next(name)) take(*node, node->as_bool(), value);
  }
  void field(std::string_view name, std::int64_t& value, Range range, std::string_view) override {
    if (const Document* node = next(name); node != nullptr && take(*node, node->as_int(), value)) {
      check_range(*node, static_cast<double>(value), range);
    }
  }
  void field(std::string_view name, double& value, Range range, std::string_view) override {
    if (const Document* node = next(name); node != nullptr && take(*node, node->as_double(), value)) check_range(*node, value, range);
  }
  void field(std::string_view name, std::string& value, std::string_view) override {
    if (const Document* node = next(name)) take(*node, node->as_string(), value);
  }
  void field(std::string_view name, Duration& value, std::string_view) override {
    if (const Document* node = next(name)) take_parsed(*node, &parse_duration, value);
  }
  void field(std::string_view name, ByteSize& value, std::string_view) override {
    const Document* node = next(name);
    if (node == nullptr) return;
    if (node->is_number()) {
      take(*node, node->as_int(), value.bytes);
    } else {
      take_parsed(*node, &parse_byte_size, value);
    }
    check_range(*node, static_cast<double>(value.bytes), {.min = 0});
  }
  void field(std::string_view name, MilliCpu& value, std::string_view) override {
    const Document* node = next(name);
    if (node == nullptr) return;
    if (double cores = 0; node->is_number()) {
      if (take(*node, node->as_double(), cores) && check_range(*node, cores, {.min = 0, .max = 1e9}))
        value.milli = std::llround(cores * 1000);
    } else {
      take_parsed(*node, &parse_milli_cpu, value);
    }
  }
  void field(std::string_view name, std::vector<std::string>& value, std::string_view) override {
    const Document* node = next(name);
    if (node == nullptr || !expect(*node, node->is_array(), "a list of strings")) return;
    value.clear();
    for (const Document& item : node->items()) {
      std::string text;
      if (!take(item, item.as_string(), text)) return;
      value.push_back(std::move(text));
    }
  }
  void field(std::string_view name, std::map<std::string, std::string>& value, std::string_view) override {
    const Document* node = next(name);
    if (node == nullptr || !expect(*node, node->is_object(), "an object with string values")) return;
    value.clear();
    for (const auto& [key, item] : node->members()) {
      if (!take(item, scalar_text(item), value[key])) return;
    }
  }
  void field(std::string_view name, Document& value, std::string_view) override {
    if (const Document* node = next(name)) value = *node;
  }
  void choice(std::string_view name, std::string& value, const std::vector<std::string_view>& allowed, std::string_view) override {
    const Document* node = next(name);
    if (node == nullptr || !take(*node, node->as_string(), value)) return;
    if (std::find(allowed.begin(), allowed.end(), value) != allowed.end()) return;
    fail("spec.choice",
         fmt::format("{} must be one of {}{}: \"{}\"", name, fmt::join(allowed, ", "),
                     did_you_mean(value, {allowed.begin(), allowed.end()}), value),
         *node);
  }
  void required() override {
    if (error_ || names_.empty() || !document_[names_.back()].is_null()) return;
    fail("spec.missing_key", fmt::format("the key \"{}\" is required and missing here; add it", names_.back()), document_);
  }

  Result<void> finish() {
    if (error_) return *error_;
    for (const auto& [key, value] : document_.members()) {
      if (std::find(names_.begin(), names_.end(), key) != names_.end()) continue;
      fail("spec.unknown_key", fmt::format("unknown key \"{}\"{}; known keys: {}", key, did_you_mean(key, names_), fmt::join(names_, ", ")),
           value);
      return *error_;
    }
    return {};
  }

 protected:
  void object(std::string_view name, std::string_view, const Visit& visit) override {
    if (const Document* node = next(name)) decode_into(*node, visit);
  }
  void list(std::string_view name, std::string_view, std::size_t, const std::function<void(std::size_t)>& resize,
            const std::function<void(std::size_t, FieldVisitor&)>& visit, const Visit&) override {
    const Document* node = next(name);
    if (node == nullptr || !expect(*node, node->is_array(), "a list")) return;
    resize(node->items().size());
    for (std::size_t i = 0; i < node->items().size() && !error_; ++i) {
      decode_into(node->items()[i], [&visit, i](FieldVisitor& inner) { visit(i, inner); });
    }
  }

 private:
  static std::string did_you_mean(std::string_view text, const std::vector<std::string>& candidates) {
    const std::optional<std::string> match = nearest(text, candidates);
    return match ? fmt::format("; did you mean \"{}\"?", *match) : std::string();
  }

  /// Environment values are often written as numbers or booleans: they count as their text.
  static Result<std::string> scalar_text(const Document& item) {
    if (item.is_number() || item.kind() == Document::Kind::kBool) return to_json(item);
    return item.as_string();
  }

  const Document* next(std::string_view name) {
    names_.emplace_back(name);
    if (error_) return nullptr;
    const Document* node = document_.find(name);
    return node == nullptr || node->is_null() ? nullptr : node;
  }

  void decode_into(const Document& node, const Visit& visit) {
    Decoder inner(node);
    visit(inner);
    if (Result<void> result = inner.finish(); !result.ok() && !error_) error_ = std::move(result).error();
  }

  bool expect(const Document& node, bool holds, std::string_view what) {
    if (!holds) fail("spec.type", fmt::format("{} must be {}, found {}", names_.back(), what, name_of(node.kind())), node);
    return holds;
  }

  template <typename T>
  bool take(const Document& node, Result<T> result, T& value) {
    if (!result.ok()) {
      fail("spec.type", fmt::format("{}: {}", names_.back(), result.error().message), node);
      return false;
    }
    value = std::move(result).value();
    return true;
  }

  template <typename T>
  void take_parsed(const Document& node, Result<T> (*parse)(std::string_view), T& value) {
    std::string text;
    if (!take(node, node.as_string(), text)) return;
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
  std::vector<std::string> names_;
  std::optional<Error> error_;
};

class Encoder final : public FieldVisitor {
 public:
  void field(std::string_view name, bool& value, std::string_view) override { out_.set(name, value); }
  void field(std::string_view name, std::int64_t& value, Range, std::string_view) override { out_.set(name, value); }
  void field(std::string_view name, double& value, Range, std::string_view) override { out_.set(name, value); }
  void field(std::string_view name, std::string& value, std::string_view) override { out_.set(name, value); }
  void field(std::string_view name, Duration& value, std::string_view) override { out_.set(name, format_duration(value)); }
  void field(std::string_view name, ByteSize& value, std::string_view) override { out_.set(name, format_byte_size(value)); }
  void field(std::string_view name, MilliCpu& value, std::string_view) override { out_.set(name, fmt::format("{}m", value.milli)); }
  void field(std::string_view name, std::vector<std::string>& value, std::string_view) override {
    Document list = Document::array();
    for (const std::string& text : value) list.push(text);
    out_.set(name, std::move(list));
  }
  void field(std::string_view name, std::map<std::string, std::string>& value, std::string_view) override {
    Document object = Document::object();
    for (const auto& [key, text] : value) object.set(key, text);
    out_.set(name, std::move(object));
  }
  void field(std::string_view name, Document& value, std::string_view) override {
    if (!value.is_null()) out_.set(name, value);
  }
  void choice(std::string_view name, std::string& value, const std::vector<std::string_view>&, std::string_view) override {
    out_.set(name, value);
  }
  void required() override {}
  Document take() { return std::move(out_); }

 protected:
  void object(std::string_view name, std::string_view, const Visit& visit) override { out_.set(name, encode_fields(visit)); }
  void list(std::string_view name, std::string_view, std::size_t size, const std::function<void(std::size_t)>&,
            const std::function<void(std::size_t, FieldVisitor&)>& visit, const Visit&) override {
    Document items = Document::array();
    for (std::size_t i = 0; i < size; ++i) {
      items.push(encode_fields([&visit, i](FieldVisitor& inner) { visit(i, inner); }));
    }
    out_.set(name, std::move(items));
  }

 private:
  Document out_ = Document::object();
};

class SchemaWriter final : public FieldVisitor {
 public:
  void field(std::string_view name, bool& value, std::string_view doc) override { add(name, "boolean", doc).set("default", value); }
  void field(std::string_view name, std::int64_t& value, Range range, std::string_view doc) override {
    bound(add(name, "integer", doc), range).set("default", value);
  }
  void field(std::string_view name, double& value, Range range, std::string_view doc) override {
    bound(add(name, "number", doc), range).set("default", value);
  }
  void field(std::string_view name, std::string& value, std::string_view doc) override { add(name, "string", doc).set("default", value); }
  void field(std::string_view name, Duration& value, std::string_view doc) override {
    add(name, "string", doc).set("format", "duration like 1h30m").set_where("");
    last().set("default", format_duration(value));
  }
  void field(std::string_view name, ByteSize& value, std::string_view doc) override {
    add(name, text_or("integer"), doc).set("default", format_byte_size(value));
  }
  void field(std::string_view name, MilliCpu& value, std::string_view doc) override {
    add(name, text_or("number"), doc).set("default", fmt::format("{}m", value.milli));
  }
  void field(std::string_view name, std::vector<std::string>&, std::string_view doc) override {
    add(name, "array", doc).set("items", type_of("string"));
  }
  void field(std::string_view name, std::map<std::string, std::string>&, std::string_view doc) override {
    add(name, "object", doc).set("additionalProperties", type_of("string"));
  }
  void field(std::string_view name, Document&, std::string_view doc) override { add(name, Document(), doc); }
  void choice(std::string_view name, std::string& value, const std::vector<std::string_view>& allowed, std::string_view doc) override {
    Document& property = add(name, "string", doc);
    Document list = Document::array();
    for (const std::string_view text : allowed) list.push(text);
    property.set("enum", std::move(list));
    property.set("default", value);
  }
  void required() override { required_.push(names_.back()); }

  Document take() {
    Document schema = type_of("object");
    Document properties = Document::object();
    for (std::size_t i = 0; i < names_.size(); ++i) properties.set(names_[i], std::move(properties_[i]));
    schema.set("properties", std::move(properties));
    if (!required_.items().empty()) schema.set("required", std::move(required_));
    schema.set("additionalProperties", false);
    return schema;
  }

 protected:
  void object(std::string_view name, std::string_view doc, const Visit& visit) override {
    names_.emplace_back(name);
    properties_.push_back(schema_of_fields(visit));
    last().set("description", doc);
  }
  void list(std::string_view name, std::string_view doc, std::size_t, const std::function<void(std::size_t)>&,
            const std::function<void(std::size_t, FieldVisitor&)>&, const Visit& visit_prototype) override {
    add(name, "array", doc).set("items", schema_of_fields(visit_prototype));
  }

 private:
  static Document type_of(std::string_view type) {
    Document schema = Document::object();
    schema.set("type", type);
    return schema;
  }
  static Document text_or(std::string_view other) {
    Document types = Document::array();
    types.push("string");
    types.push(other);
    return types;
  }
  static Document& bound(Document& property, Range range) {
    if (range.min != std::numeric_limits<double>::lowest()) property.set("minimum", range.min);
    if (range.max != std::numeric_limits<double>::max()) property.set("maximum", range.max);
    return property;
  }
  Document& last() { return properties_.back(); }
  Document& add(std::string_view name, Document type, std::string_view doc) {
    names_.emplace_back(name);
    Document property = Document::object();
    if (!type.is_null()) property.set("type", std::move(type));
    property.set("description", doc);
    properties_.push_back(std::move(property));
    return last();
  }

  std::vector<std::string> names_;
  std::vector<Document> properties_;
  Document required_ = Document::array();
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
  return invalid_argument("spec.byte_size", fmt::format("a size is a number with a unit like \"512MiB\" or \"16GiB\", not \"{}\"", text));
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
  return invalid_argument("spec.cpu", fmt::format("a CPU quantity is written like 2, 0.5 or \"900m\", not \"{}\"", text));
}

Result<void> decode_fields(const Document& document, const DescribeFunction& describe) {
  Decoder decoder(document);
  describe(decoder);
  return decoder.finish();
}

Document encode_fields(const DescribeFunction& describe) {
  Encoder encoder;
  describe(encoder);
  return encoder.take();
}

Document schema_of_fields(const DescribeFunction& describe) {
  SchemaWriter writer;
  describe(writer);
  return writer.take();
}

std::optional<std::string> nearest(std::string_view text, const std::vector<std::string>& candidates) {
  const std::string* best = nullptr;
  std::size_t best_distance = std::max<std::size_t>(2, text.size() / 3) + 1;
  for (const std::string& candidate : candidates) {
    const std::size_t distance = edit_distance(text, candidate);
    if (distance < best_distance && distance < candidate.size()) {
      best_distance = distance;
      best = &candidate;
    }
  }
  return best == nullptr ? std::nullopt : std::optional(*best);
}

}  // namespace trainyard
