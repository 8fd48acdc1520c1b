package dev.sequent.io;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowable;

import com.sun.management.ThreadMXBean;
import dev.sequent.type.CheckpointException;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Files that are not what they claim: each is one typed error that says why, and none makes the reader allocate. */
class SafetensorsHostileTest {
    private static final long ALLOWED_BYTES = 4 << 20;
    private static final String GOOD = "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
            + "\"b\":{\"dtype\":\"I64\",\"shape\":[1,1],\"data_offsets\":[8,16]}}";

    @TempDir
    Path directory;

    static Stream<Arguments> hostileFiles() {
        return Stream.of(
                raw("empty file", "at least 10 bytes", new byte[0]),
                raw("one byte", "at least 10 bytes", new byte[1]),
                raw("half a length", "at least 10 bytes", new byte[7]),
                raw("a length and nothing else", "at least 10 bytes", length(100)),
                raw("zero header length", "a header of 2 to", concat(length(0), new byte[16])),
                raw("header of one byte", "a header of 2 to", concat(length(1), "{}".getBytes(StandardCharsets.UTF_8))),
                raw("header length beyond the limit", "a header of 2 to 100000000", concat(length(100_000_001), new byte[16])),
                raw("header length of 2 GiB", "given 2147483648", concat(length(1L << 31), new byte[16])),
                raw("header length of 2^62", "given 4611686018427387904", concat(length(1L << 62), new byte[16])),
                raw("negative header length", "given 18446744073709551615", concat(length(-1), new byte[16])),
                raw("most negative header length", "given 9223372036854775808", concat(length(Long.MIN_VALUE), new byte[16])),
                raw("header longer than the file", "it is truncated",
                        concat(length(99_999_999), "{}      ".getBytes(StandardCharsets.UTF_8))),
                raw("big-endian length", "a header of 2 to", concat(new byte[] {0, 0, 0, 0, 0, 0, 0, 16}, new byte[16])),
                raw("a zip archive", "a header of 2 to", "PK\003\004 and what follows in an archive".getBytes(StandardCharsets.UTF_8)),
                raw("zeros", "a header of 2 to", new byte[4096]),

                header("text instead of JSON", "starts with '{'", "hello, world"),
                header("leading white space", "starts with '{'", " {}"),
                header("byte order mark", "starts with '{'", "\uFEFF{}"),
                header("an array", "starts with '{'", "[]"),
                header("a string", "starts with '{'", "\"abc\""),
                header("null", "starts with '{'", "null"),
                header("unclosed object", "the end of the text", "{\"a\":{\"dtype\":\"F32\""),
                header("unclosed string", "a closing quote", "{\"a"),
                header("text after the object", "the end of the text", "{}x"),
                header("two objects", "the end of the text", "{}{}"),
                header("trailing comma", "a member name", "{\"a\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]},}"),
                header("comment", "a member name", "{/* no */}"),
                header("single quotes", "a member name", "{'a':1}"),
                header("number as a name", "a member name", "{1:{}}"),
                header("missing colon", "':'", "{\"a\" {}}"),
                header("zero bytes as padding", "the end of the text", "{}\0\0\0\0\0\0"),
                header("control character in a name", "no control character", "{\"a\nb\":{}}"),
                header("bad escape", "an escape of JSON", "{\"a\\q\":{}}"),
                header("lone surrogate", "a surrogate pair", "{\"\\ud800\":{}}"),
                header("deep nesting of arrays", "an object", "{\"__metadata__\":{\"a\":\"b\"},\"a\":" + "[".repeat(100_000)),
                header("deep nesting of objects", "dtype, shape and data_offsets", "{\"a\":".repeat(100_000)),
                header("infinity", "a JSON value", entry("\"F32\"", "[Infinity]", "[0,8]")),
                header("not a number", "a JSON value", entry("\"F32\"", "[NaN]", "[0,8]")),

                header("metadata is an array", "an object", "{\"__metadata__\":[]}"),
                header("metadata with a number", "a string", "{\"__metadata__\":{\"a\":1}}"),
                header("metadata with an object", "a string", "{\"__metadata__\":{\"a\":{}}}"),
                header("metadata null", "an object", "{\"__metadata__\":null}"),
                header("metadata twice", "each member name once", "{\"__metadata__\":{},\"__metadata__\":{}}"),
                header("metadata key twice", "each member name once", "{\"__metadata__\":{\"a\":\"1\",\"a\":\"2\"}}"),

                header("entry is a number", "an object", "{\"a\":1}"),
                header("entry is null", "an object", "{\"a\":null}"),
                header("empty entry", "dtype, shape and two data_offsets", "{\"a\":{}}"),
                header("no dtype", "dtype, shape and two", "{\"a\":{\"shape\":[2],\"data_offsets\":[0,8]}}"),
                header("no shape", "dtype, shape and two", "{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,8]}}"),
                header("no offsets", "dtype, shape and two", "{\"a\":{\"dtype\":\"F32\",\"shape\":[2]}}"),
                header("unknown member", "\"strides\"", "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"strides\":[1],\"data_offsets\":[0,8]}}"),
                header("member twice", "each member name once", "{\"a\":{\"dtype\":\"F32\",\"dtype\":\"F32\"}}"),
                header("tensor twice", "another \"a\"", GOOD.replace("\"b\"", "\"a\"")),
                header("tensor twice, once escaped", "another \"a\"", GOOD.replace("\"b\"", "\"\\u0061\"")),
                header("empty name", "an empty name", GOOD.replace("\"b\"", "\"\"")),

                header("dtype in lower case", "\"f32\"", entry("\"f32\"", "[2]", "[0,8]")),
                header("dtype of the format that is not supported", "\"F8_E4M3\"", entry("\"F8_E4M3\"", "[8]", "[0,8]")),
                header("unsigned dtype", "\"U8\"", entry("\"U8\"", "[8]", "[0,8]")),
                header("dtype as a number", "a string", entry("32", "[2]", "[0,8]")),
                header("dtype too wide for its bytes", "16 bytes", entry("\"F64\"", "[2]", "[0,8]")),
                header("dtype too narrow for its bytes", "4 bytes", entry("\"BF16\"", "[2]", "[0,8]")),

                header("shape is a number", "an array", entry("\"F32\"", "2", "[0,8]")),
                header("shape of strings", "an integer of at least 0", entry("\"F32\"", "[\"2\"]", "[0,8]")),
                header("negative size", "from 0 to 2^63-1", entry("\"F32\"", "[-2]", "[0,8]")),
                header("two negative sizes", "from 0 to 2^63-1", entry("\"F32\"", "[-1,-2]", "[0,8]")),
                header("fractional size", "from 0 to 2^63-1", entry("\"F32\"", "[2.0]", "[0,8]")),
                header("exponent in a size", "from 0 to 2^63-1", entry("\"F32\"", "[2e0]", "[0,8]")),
                header("leading zero", "no digit after a leading zero", entry("\"F32\"", "[02]", "[0,8]")),
                header("size beyond 64 bits", "from 0 to 2^63-1", entry("\"F32\"", "[18446744073709551618]", "[0,8]")),
                header("number of a million digits", "at most 1024 digits", entry("\"F32\"", "[" + "9".repeat(1_000_000) + "]", "[0,8]")),
                header("element count overflows", "fewer than 2^63 elements", entry("\"F32\"", "[4294967296,4294967296]", "[0,8]")),
                header("element count wraps to the right size", "fewer than 2^63 elements",
                        entry("\"F32\"", "[4294967296,4294967296,2]", "[0,8]")),
                header("byte count wraps to the right size", "fewer than 2^63 bytes", entry("\"F32\"", "[4611686018427387906]", "[0,8]")),
                header("shape product differs", "24 bytes", entry("\"F32\"", "[2,3]", "[0,8]")),
                header("a thousand axes", "at most 32 axes", entry("\"F32\"", "[2" + ",1".repeat(1000) + "]", "[0,8]")),
                header("nested shape", "an integer of at least 0", entry("\"F32\"", "[[2]]", "[0,8]")),

                header("one offset", "two data_offsets", entry("\"F32\"", "[2]", "[8]")),
                header("three offsets", "two offsets", entry("\"F32\"", "[2]", "[0,8,8]")),
                header("offsets are a string", "an array", entry("\"F32\"", "[2]", "\"0,8\"")),
                header("negative offsets", "from 0 to 2^63-1", entry("\"F32\"", "[2]", "[-8,0]")),
                header("reversed offsets", "offsets 8 to 0", entry("\"F32\"", "[2]", "[8,0]")),
                header("offsets near 2^63", "9223372036854775799", entry("\"F32\"", "[2]", "[9223372036854775799,9223372036854775807]")),
                header("offset beyond 64 bits", "from 0 to 2^63-1", entry("\"F32\"", "[2]", "[0,18446744073709551624]")),
                header("data beyond the end", "truncated", entry("\"F32\"", "[5]", "[0,20]")),
                header("terabytes of data", "truncated", entry("\"F32\"", "[1099511627776]", "[0,4398046511104]")),
                header("hole at the start", "no hole", entry("\"F32\"", "[2]", "[8,16]")),
                header("hole in the middle", "no hole", GOOD.replace("\"F32\",\"shape\":[2],\"data_offsets\":[0,8]",
                        "\"F32\",\"shape\":[1],\"data_offsets\":[0,4]")),
                header("overlap", "must not overlap", GOOD.replace("[8,16]", "[4,12]")),
                header("the same range twice", "must not overlap", GOOD.replace("[8,16]", "[0,8]")),
                header("a range inside another", "must not overlap",
                        GOOD.replace("\"shape\":[2],\"data_offsets\":[0,8]", "\"shape\":[4],\"data_offsets\":[0,16]")),
                header("empty tensor inside another", "must not overlap",
                        GOOD.replace("}}", "},\"c\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[4,4]}}")),
                header("data without tensors", "bytes after the last tensor", "{}"),
                header("trailing bytes", "bytes after the last tensor", entry("\"F32\"", "[2]", "[0,8]")),
                raw("invalid UTF-8 in a name", "valid UTF-8", withHeader(bytes('{', '"', 0xC3, 0x28, '"', ':', '{', '}', '}'), 0)),
                raw("overlong UTF-8 in a name", "valid UTF-8", withHeader(bytes('{', '"', 0xC0, 0x80, '"', ':', '{', '}', '}'), 0)),
                raw("surrogate in UTF-8", "valid UTF-8", withHeader(bytes('{', '"', 0xED, 0xA0, 0x80, '"', ':', '{', '}', '}'), 0)),
                raw("invalid UTF-8 outside strings", "0xFF", withHeader(bytes('{', 0xFF, '}'), 0)),
                raw("UTF-16", "byte 0xFE", withHeader("{}".getBytes(StandardCharsets.UTF_16), 0)),
                raw("name of 70,000 bytes", "a member name of at most",
                        withHeader(("{\"" + "n".repeat(70_000) + "\":{}}").getBytes(StandardCharsets.UTF_8), 0)));
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("hostileFiles")
    void isOneTypedErrorWithoutLargeAllocation(String name, String reason, byte[] content) throws IOException {
        Path file = Files.write(directory.resolve("model.safetensors"), content);
        open(file);
        ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
        long before = threads.getCurrentThreadAllocatedBytes();
        Throwable error = open(file);
        long allocated = threads.getCurrentThreadAllocatedBytes() - before;
        assertThat(error).isInstanceOf(CheckpointException.class).hasMessageStartingWith("[model.safetensors] expected ")
                .hasMessageContaining(", given ").hasMessageContaining(reason);
        assertThat(error.getMessage()).hasSizeLessThan(1000);
        assertThat(allocated).isLessThan(ALLOWED_BYTES);
    }

    @Test
    void truncationAtEveryByteIsAnError() throws IOException {
        byte[] good = withHeader((GOOD + "  ").getBytes(StandardCharsets.UTF_8), 16);
        Path file = directory.resolve("model.safetensors");
        SafetensorsFile.open(Files.write(file, good)).close();
        for (int length = 0; length < good.length; length++) {
            Files.write(file, Arrays.copyOf(good, length));
            assertThat(open(file)).as("%d of %d bytes", length, good.length).isInstanceOf(CheckpointException.class);
        }
        Files.write(file, Arrays.copyOf(good, good.length + 1));
        assertThat(open(file)).isInstanceOf(CheckpointException.class);
    }

    @Test
    void everySingleByteChangeOfTheHeaderIsReadOrATypedError() throws IOException {
        byte[] good = withHeader(GOOD.getBytes(StandardCharsets.UTF_8), 16);
        Path file = directory.resolve("model.safetensors");
        for (int at = 0; at < good.length - 16; at++) {
            for (int change : new int[] {0x01, 0x20, 0x80, 0xFF}) {
                byte[] changed = good.clone();
                changed[at] ^= (byte) change;
                Throwable error = open(Files.write(file, changed));
                assertThat(error == null || error instanceof CheckpointException).as("byte %d xor %d: %s", at, change, error).isTrue();
            }
        }
    }

    @Test
    void directoryInsteadOfFile() {
        assertThat(open(directory)).isInstanceOf(CheckpointException.class).hasMessageContaining("the directory ");
    }

    @Test
    void missingFile() {
        assertThat(open(directory.resolve("none.safetensors"))).isInstanceOf(CheckpointException.class)
                .hasMessageContaining("the missing ");
    }

    @Test
    void deviceInsteadOfFile() {
        Path device = Path.of("/dev/zero");
        assertThat(open(device)).isInstanceOf(CheckpointException.class);
    }

    @Test
    void symbolicLinkThatPointsToItself() throws IOException {
        Path link = directory.resolve("loop.safetensors");
        Files.createSymbolicLink(link, link);
        assertThat(open(link)).isInstanceOf(CheckpointException.class);
    }

    @Test
    void unreadableFile() throws IOException {
        Path file = Files.write(directory.resolve("model.safetensors"), withHeader("{}".getBytes(StandardCharsets.UTF_8), 0));
        boolean denied = file.toFile().setReadable(false, false) && !Files.isReadable(file);
        if (denied) {
            assertThat(open(file)).isInstanceOf(CheckpointException.class).hasMessageContaining("readable");
        } else {
            System.out.println("unreadableFile: permissions do not bind this user, so the file stays readable");
            assertThat(open(file)).isNull();
        }
    }

    @Test
    void checkpointDirectoryWithoutCheckpoint() {
        assertThatThrownBy(() -> WeightStore.open(directory)).isInstanceOf(CheckpointException.class)
                .hasMessageContaining("model.safetensors");
    }

    private static Throwable open(Path file) {
        return catchThrowable(() -> SafetensorsFile.open(file).close());
    }

    private static String entry(String dtype, String shape, String offsets) {
        return "{\"a\":{\"dtype\":" + dtype + ",\"shape\":" + shape + ",\"data_offsets\":" + offsets + "}}";
    }

    private static Arguments header(String name, String reason, String header) {
        return raw(name, reason, withHeader(header.getBytes(StandardCharsets.UTF_8), 16));
    }

    private static Arguments raw(String name, String reason, byte[] content) {
        return Arguments.of(name, reason, content);
    }

    private static byte[] withHeader(byte[] header, int dataBytes) {
        return concat(concat(length(header.length), header), new byte[dataBytes]);
    }

    private static byte[] length(long length) {
        return ByteBuffer.allocate(8).order(ByteOrder.LITTLE_ENDIAN).putLong(length).array();
    }

    private static byte[] bytes(int... values) {
        byte[] out = new byte[values.length];
        for (int i = 0; i < out.length; i++) {
            out[i] = (byte) values[i];
        }
        return out;
    }

    private static byte[] concat(byte[] a, byte[] b) {
        byte[] out = Arrays.copyOf(a, a.length + b.length);
        System.arraycopy(b, 0, out, a.length, b.length);
        return out;
    }
}
