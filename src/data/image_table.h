#pragma once
#include <vector>

#include "data/dataset_version.h"
#include "data/record_source.h"
#include "data/table_io.h"

namespace trainyard::data {

/// Columns of every layer of an image dataset: label, pixels (height * width bytes), _src and _off, which say where the row came from: the
/// index in the `sources` property of the raw version, and the line or image number there.
TableSchema image_table_schema(const ImageLayout& layout);
/// The same for the catalog.
std::vector<SchemaField> image_schema_fields(const ImageLayout& layout);

Table table_from(const RecordBatch& batch, const ImageLayout& layout);
/// Appends the rows of a table with image_table_schema to `batch`.
void append_table(const Table& table, const ImageLayout& layout, RecordBatch& batch);

/// Copies row `index` of `from` to the end of `to`.
void append_row(const RecordBatch& from, std::size_t index, const ImageLayout& layout, RecordBatch& to);

}  // namespace trainyard::data
