#pragma once
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "base/describe.h"

namespace trainyard {

/// Who a schema speaks to.
enum class SchemaStyle {
  kPlain,     ///< As schema_of: editors and flags. Closed, with defaults.
  kRequest,   ///< What the API takes: closed, keys that are not required may be null, texts with their pattern.
  kResponse,  ///< What the API answers: open, since answers may grow; every key that is always written is required.
};

/// JSON Schemas (2020-12) of described structs whose named structs (`kSchemaName`) are defined once and referred to as
/// "#/components/schemas/NAME". A struct that is both asked for and answered has two definitions when they differ: NAME, and NAME + "Input"
/// for what is asked. Definitions come out sorted, so equal structs give equal text.
class SchemaBook {
 public:
  /// The schema of a struct: a reference when it has a name, else the schema itself.
  template <Described T>
  Document schema(SchemaStyle style) {
    T value{};
    return schema_of_object({schema_name_of<T>(), [&value](FieldVisitor& fields) { value.describe(fields); }}, style);
  }
  Document schema_of_object(const ObjectSlot& object, SchemaStyle style);
  /// A definition that comes from no struct.
  void define(std::string_view name, Document schema);

  /// Gives the references in `document` and in the definitions their final names. To be called once, when all schemas are in.
  void settle(Document& document);
  /// {"NAME": schema, ..}
  Document definitions() const;

 private:
  using Key = std::pair<std::string, bool>;  ///< Name, and whether it is what is asked for.
  bool has_two_forms(const std::string& name) const;
  void settle_references(Document& node) const;

  std::map<Key, Document> schemas_;
};

}  // namespace trainyard
