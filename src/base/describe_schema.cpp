#include "base/describe_schema.h"

#include <fmt/format.h>

#include <cmath>

namespace trainyard {
namespace {

constexpr std::string_view kReference = "#/components/schemas/";
constexpr std::string_view kAsked = "?asked";  ///< Marks a reference to what is asked for, until `settle`.

constexpr std::string_view kDurationPattern = "^([0-9]{1,6}(\\.[0-9]{1,6})?(d|h|m|s|ms|us))+$";
constexpr std::int64_t kDurationLength = 40;
constexpr std::string_view kByteSizePattern = "^[0-9]{1,6}(\\.[0-9]{1,6})?(B|kB|MB|GB|TB|KiB|MiB|GiB|TiB)?$";
constexpr std::string_view kMilliCpuPattern = "^[0-9]{1,6}(\\.[0-9]{1,3})?m?$";

Document type_of(std::string_view type) { return Document::object({{"type", type}}); }
Document types_of(std::string_view one, std::string_view other) {
  return Document::object({{"type", Document::array({Document(one), Document(other)})}});
}

bool has_min(Range range) { return range.min != std::numeric_limits<double>::lowest(); }
bool has_max(Range range) { return range.max != std::numeric_limits<double>::max(); }

Document bound_of(double value, bool whole) {
  return whole && std::abs(value) < 9e15 ? Document(static_cast<std::int64_t>(value)) : Document(value);
}

/// Writes the schemas of values in one style.
class SchemaWriter {
 public:
  /// `book`: where named structs are defined; null: they stand where they are used.
  SchemaWriter(SchemaStyle style, SchemaBook* book) : style_(style), book_(book) {}

  Document of(const Slot& slot) const {
    return std::visit([this](const auto& kind) { return of_kind(kind); }, slot.value);
  }
  /// The value that the field has when it is not given; null when there is none to tell.
  Document default_of(const Slot& slot) const;
  SchemaStyle style() const { return style_; }

 private:
  Document of_kind(const ScalarSlot& slot) const {
    return std::visit([this, &slot](auto* value) { return of_scalar(slot, *value); }, slot.value);
  }
  Document of_kind(const ObjectSlot& slot) const;
  Document of_kind(const ListSlot& slot) const { return with_prototype(type_of("array"), "items", slot.prototype); }
  Document of_kind(const MapSlot& slot) const { return with_prototype(type_of("object"), "additionalProperties", slot.prototype); }
  Document of_kind(const OptionalSlot& slot) const {
    Document schema;
    slot.prototype([this, &schema](const Slot& value) { schema = of(value); });
    return schema;
  }
  Document with_prototype(Document schema, std::string_view key, const std::function<void(const UseSlot&)>& prototype) const {
    prototype([this, &schema, key](const Slot& element) { schema.set(key, of(element)); });
    return schema;
  }

  Document of_scalar(const ScalarSlot&, bool&) const { return type_of("boolean"); }
  Document of_scalar(const ScalarSlot& slot, std::int64_t&) const {
    Document schema = bounded(type_of("integer"), slot.range, style_ != SchemaStyle::kPlain);
    if (style_ != SchemaStyle::kRequest) return schema;
    if (!has_min(slot.range)) schema.set("minimum", std::numeric_limits<std::int64_t>::min());
    if (!has_max(slot.range)) schema.set("maximum", std::numeric_limits<std::int64_t>::max());
    return schema;
  }
  Document of_scalar(const ScalarSlot& slot, double&) const {
    const bool any = !has_min(slot.range) && !has_max(slot.range);
    // JSON has no NaN and no infinities: they are answered as text.
    if (style_ == SchemaStyle::kResponse && any) return types_of("number", "string");
    return bounded(type_of("number"), slot.range, false);
  }
  Document of_scalar(const ScalarSlot& slot, std::string&) const {
    Document schema = type_of("string");
    if (slot.allowed == nullptr) return schema;
    Document list = Document::array();
    for (const std::string_view text : *slot.allowed) list.push(text);
    schema.set("enum", std::move(list));
    return schema;
  }
  Document of_scalar(const ScalarSlot&, Duration&) const {
    Document schema = type_of("string");
    if (style_ == SchemaStyle::kPlain) schema.set("format", "duration like 1h30m");
    if (style_ != SchemaStyle::kRequest) return schema;
    schema.set("pattern", kDurationPattern);
    schema.set("maxLength", kDurationLength);
    return schema;
  }
  Document of_scalar(const ScalarSlot&, TimePoint&) const {
    Document schema = type_of("string");
    schema.set("format", "date-time");
    return schema;
  }
  Document of_scalar(const ScalarSlot&, ByteSize&) const { return text_or_number("integer", kByteSizePattern, 9e15); }
  Document of_scalar(const ScalarSlot&, MilliCpu&) const { return text_or_number("number", kMilliCpuPattern, 1e9); }
  Document of_scalar(const ScalarSlot&, std::vector<std::string>&) const {
    Document schema = type_of("array");
    schema.set("items", type_of("string"));
    return schema;
  }
  Document of_scalar(const ScalarSlot&, std::map<std::string, std::string>&) const {
    Document schema = type_of("object");
    const Document any_scalar = Document::array({Document("string"), Document("number"), Document("boolean")});
    schema.set("additionalProperties", style_ == SchemaStyle::kRequest ? Document::object({{"type", any_scalar}}) : type_of("string"));
    return schema;
  }
  Document of_scalar(const ScalarSlot&, Document&) const { return Document::object(); }

  Document text_or_number(std::string_view number, std::string_view pattern, double max) const {
    if (style_ == SchemaStyle::kResponse) return type_of("string");
    Document schema = types_of("string", number);
    if (style_ == SchemaStyle::kPlain) return schema;
    schema.set("pattern", pattern);
    return bounded(std::move(schema), {.min = 0, .max = max}, true);
  }
  static Document bounded(Document schema, Range range, bool whole) {
    if (has_min(range)) schema.set("minimum", bound_of(range.min, whole));
    if (has_max(range)) schema.set("maximum", bound_of(range.max, whole));
    return schema;
  }

  const SchemaStyle style_;
  SchemaBook* const book_;
};

/// Writes the schema of one object.
class ObjectWriter final : public FieldVisitor {
 public:
  explicit ObjectWriter(const SchemaWriter& writer) : writer_(writer) {}

  void visit(std::string_view name, const Slot& slot, std::string_view doc) override {
    const bool always = !std::holds_alternative<OptionalSlot>(slot.value) && !holds_document(slot);
    properties_.push_back({.name = std::string(name),
                           .schema = described(writer_.of(slot), doc),
                           .fallback = writer_.default_of(slot),
                           .required = writer_.style() == SchemaStyle::kResponse && always});
  }
  void required() override { properties_.back().required = true; }

  Document take() {
    Document properties = Document::object();
    Document required = Document::array();
    const bool asks = writer_.style() == SchemaStyle::kRequest;
    for (Property& property : properties_) {
      // In a request nobody needs to be told that a text is empty by default, or of the default of what must be given.
      if (asks && (property.required || property.fallback == Document(""))) property.fallback = {};
      if (property.required) required.push(property.name);
      if (!property.fallback.is_null()) property.schema.set("default", std::move(property.fallback));
      if (asks && !property.required) allow_null(property.schema);
      properties.append_member(property.name, std::move(property.schema));
    }
    Document schema = type_of("object");
    schema.set("properties", std::move(properties));
    if (!required.items().empty()) schema.set("required", std::move(required));
    if (writer_.style() != SchemaStyle::kResponse) schema.set("additionalProperties", false);
    return schema;
  }

 private:
  struct Property {
    std::string name;
    Document schema;
    Document fallback;
    bool required = false;
  };

  static bool holds_document(const Slot& slot) {
    const auto* const scalar = std::get_if<ScalarSlot>(&slot.value);
    return scalar != nullptr && std::holds_alternative<Document*>(scalar->value);
  }

  static Document described(const Document& schema, std::string_view doc) {
    Document out = Document::object();
    if (const Document* const type = schema.find("type")) out.set("type", *type);
    if (const Document* const reference = schema.find("$ref")) out.set("$ref", *reference);
    out.set("description", doc);
    for (const auto& [key, value] : schema.members()) out.set(key, value);
    return out;
  }

  static void allow_null(Document& schema) {
    if (const Document* const reference = schema.find("$ref")) {
      const Document alternatives = Document::array({Document::object({{"$ref", *reference}}), type_of("null")});
      Document out = Document::object({{"anyOf", alternatives}});
      for (const auto& [key, value] : schema.members()) {
        if (key != "$ref") out.set(key, value);
      }
      schema = std::move(out);
      return;
    }
    const Document* const type = schema.find("type");
    if (type == nullptr) return;
    Document types = type->is_array() ? *type : Document::array({*type});
    types.push("null");
    schema.set("type", std::move(types));
    if (const Document* const list = schema.find("enum")) {
      Document values = *list;
      values.push(Document());
      schema.set("enum", std::move(values));
    }
  }

  const SchemaWriter& writer_;
  std::vector<Property> properties_;
};

Document SchemaWriter::of_kind(const ObjectSlot& slot) const {
  if (book_ != nullptr) return book_->schema_of_object(slot, style_);
  ObjectWriter writer(*this);
  slot.visit(writer);
  return writer.take();
}

Document SchemaWriter::default_of(const Slot& slot) const {
  const auto* const scalar = std::get_if<ScalarSlot>(&slot.value);
  if (style_ == SchemaStyle::kResponse || scalar == nullptr) return {};
  return std::visit(
      [](auto* value) -> Document {
        using T = std::remove_pointer_t<decltype(value)>;
        if constexpr (std::is_same_v<T, Duration>) return format_duration(*value);
        if constexpr (std::is_same_v<T, ByteSize>) return format_byte_size(*value);
        if constexpr (std::is_same_v<T, MilliCpu>) return fmt::format("{}m", value->milli);
        if constexpr (std::is_same_v<T, bool> || std::is_same_v<T, std::int64_t> || std::is_same_v<T, double>) return *value;
        if constexpr (std::is_same_v<T, std::string>) return *value;
        return {};
      },
      scalar->value);
}

}  // namespace

Document schema_of_fields(const DescribeFunction& describe) {
  const SchemaWriter writer(SchemaStyle::kPlain, nullptr);
  return writer.of({ObjectSlot{{}, describe}});
}

Document SchemaBook::schema_of_object(const ObjectSlot& object, SchemaStyle style) {
  const SchemaWriter writer(style, this);
  const auto write = [&writer, &object] {
    ObjectWriter fields(writer);
    object.visit(fields);
    return fields.take();
  };
  if (object.name.empty()) return write();
  const bool asked = style != SchemaStyle::kResponse;
  const Key key{std::string(object.name), asked};
  // The place is taken first, so that a struct may hold itself.
  if (schemas_.emplace(key, Document()).second) {
    Document schema = write();
    schemas_[key] = std::move(schema);
  }
  return Document::object({{"$ref", fmt::format("{}{}{}", kReference, object.name, asked ? kAsked : "")}});
}

void SchemaBook::define(std::string_view name, Document schema) { schemas_[{std::string(name), false}] = std::move(schema); }

bool SchemaBook::has_two_forms(const std::string& name) const {
  const auto answered = schemas_.find({name, false});
  const auto asked = schemas_.find({name, true});
  return answered != schemas_.end() && asked != schemas_.end() && !(answered->second == asked->second);
}

void SchemaBook::settle_references(Document& node) const {
  for (Document& item : node.items()) settle_references(item);
  Document::Object changed;
  for (const auto& [key, value] : node.members()) {
    if (key == "$ref" && value.text().ends_with(kAsked)) {
      std::string name = value.text().substr(kReference.size(), value.text().size() - kReference.size() - kAsked.size());
      const bool two = has_two_forms(name);
      changed.emplace_back(key, fmt::format("{}{}{}", kReference, name, two ? "Input" : ""));
    } else if (value.is_object() || value.is_array()) {
      Document inner = value;
      settle_references(inner);
      changed.emplace_back(key, std::move(inner));
    }
  }
  for (auto& [key, value] : changed) node.set(key, std::move(value));
}

void SchemaBook::settle(Document& document) {
  settle_references(document);
  std::map<Key, Document> settled = schemas_;
  for (auto& [key, schema] : settled) settle_references(schema);
  std::map<Key, Document> named;
  for (auto& [key, schema] : settled) {
    const std::string name = key.second && has_two_forms(key.first) ? key.first + "Input" : key.first;
    named[{name, false}] = std::move(schema);
  }
  schemas_ = std::move(named);
}

Document SchemaBook::definitions() const {
  Document out = Document::object();
  for (const auto& [key, schema] : schemas_) out.append_member(key.first, schema);
  return out;
}

}  // namespace trainyard
