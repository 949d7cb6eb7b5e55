#pragma once
#include <gtest/gtest.h>
#include <zlib.h>

#include <array>
#include <string>
#include <vector>

#include "base/file.h"
#include "data/record_source.h"

namespace trainyard::data::testing {

/// A private directory with helpers that write source files; removed with it.
class SampleFiles {
 public:
  SampleFiles() : directory_(make_temporary_directory("trainyard-data-").value()) {}
  ~SampleFiles() { (void)remove_tree(directory_).ok(); }
  SampleFiles(const SampleFiles&) = delete;
  SampleFiles& operator=(const SampleFiles&) = delete;

  std::string path(const std::string& name) const { return directory_ + "/" + name; }
  std::string write(const std::string& name, std::string_view text) const {
    EXPECT_TRUE(write_file_atomically(path(name), text).ok());
    return path(name);
  }
  std::string write_gzip(const std::string& name, std::string_view text) const {
    gzFile file = gzopen(path(name).c_str(), "wb");
    EXPECT_EQ(gzwrite(file, text.data(), static_cast<unsigned>(text.size())), static_cast<int>(text.size()));
    EXPECT_EQ(gzclose(file), Z_OK);
    return path(name);
  }

 private:
  std::string directory_;
};

/// A 2 x 2 image with its label.
struct TinyImage {
  int label = 0;
  std::array<int, 4> pixels{};
};
inline constexpr ImageLayout kTinyLayout{.height = 2, .width = 2, .classes = 10};

inline std::string big_endian_words(const std::vector<std::uint32_t>& words) {
  std::string bytes;
  for (const std::uint32_t word : words) {
    for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(word >> shift & 0xff);
  }
  return bytes;
}

inline std::string idx_images(const std::vector<TinyImage>& images) {
  std::string bytes = big_endian_words({0x803, static_cast<std::uint32_t>(images.size()), 2, 2});
  for (const TinyImage& image : images) {
    for (const int pixel : image.pixels) bytes += static_cast<char>(pixel);
  }
  return bytes;
}

inline std::string idx_labels(const std::vector<TinyImage>& images) {
  std::string bytes = big_endian_words({0x801, static_cast<std::uint32_t>(images.size())});
  for (const TinyImage& image : images) bytes += static_cast<char>(image.label);
  return bytes;
}

inline constexpr std::string_view kTinyHeader = "label,pixel_0,pixel_1,pixel_2,pixel_3\n";

}  // namespace trainyard::data::testing
