package dev.sequent.io;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowable;

import dev.sequent.type.CheckpointException;
import dev.sequent.type.ConfigException;
import dev.sequent.type.DataException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class JsonTest {
    @TempDir
    Path directory;

    @Property(tries = 500)
    void whatIsWrittenIsRead(@ForAll long seed) {
        Json value = random(new Random(seed), 0);
        assertThat(parse(value.write())).isEqualTo(value);
        assertThat(parse(value.writePretty())).isEqualTo(value);
        assertThat(parse(value.write()).write()).isEqualTo(value.write());
    }

    @Property(tries = 1000)
    void anyTextIsReadOrATypedError(@ForAll String text) {
        Throwable error = catchThrowable(() -> parse(text));
        assertThat(error == null || error instanceof ConfigException).as("%s", error).isTrue();
    }

    @Property(tries = 500)
    void doublesAreExact(@ForAll double value) {
        JsonView view = JsonView.of(parse(Json.of(value).write()), "t", ConfigException::new);
        assertThat(Double.doubleToLongBits(view.asDouble())).isEqualTo(Double.doubleToLongBits(value));
    }

    @Property(tries = 500)
    void longsAreExact(@ForAll long value) {
        assertThat(JsonView.of(parse(Json.of(value).write()), "t", ConfigException::new).asLong()).isEqualTo(value);
    }

    @Test
    void orderOfMembersIsKept() {
        assertThat(parse("{ \"b\" : 1 , \"a\" : [ true , null , -0.5e-3 ] , \"c\" : { } }").write())
                .isEqualTo("{\"b\":1,\"a\":[true,null,-0.5e-3],\"c\":{}}");
    }

    @Test
    void prettyTextIsIndented() {
        Json value = parse("{\"a\":[1,2],\"b\":{\"c\":[[1],{}]},\"d\":[]}");
        assertThat(value.writePretty()).isEqualTo("""
                {
                  "a": [1, 2],
                  "b": {
                    "c": [
                      [1],
                      {}
                    ]
                  },
                  "d": []
                }
                """);
    }

    @Test
    void escapesAreRead() {
        assertThat(parse("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\uD83D\\uDE00é😀\"")).isEqualTo(Json.of("\"\\/\b\f\n\r\té😀é😀"));
    }

    @ParameterizedTest
    @ValueSource(strings = {"", " ", "{", "[", "}", "]", "[1,]", "[,1]", "[1 2]", "{\"a\":1,}", "{\"a\"}", "{\"a\":}", "{a:1}",
            "{\"a\":1 \"b\":2}", "01", "-", "+1", ".5", "1.",
            "1e", "1e+", "0x10", "1_000", "--1", "NaN", "Infinity", "-Infinity", "nul", "nullx", "True", "tru", "\"", "\"\\\"", "\"\\x41\"",
                    "\"\\u12\"", "\"\\u12G4\"",
            "\"\\uD800\"", "\"\\uDC00\"", "\"\\uD800\\u0041\"", "\"\\uD800\\uD800\"", "'a'", "1 1", "{}{}", "[1]//", "/**/1", "\uFEFF1",
                    "{\"a\":1,\"a\":2}", "{\"a\":1,\"\\u0061\":2}",
            "[\"a\nb\"]", "[\"\t\"]", "\u00A01", "٣", "1e5 x", "{]", "[}", "[[]", "{\"a\":[}"})
    void malformedTextIsAnErrorWithAPosition(String text) {
        assertThatThrownBy(() -> parse(text)).isInstanceOf(ConfigException.class)
                .hasMessageMatching("(?s)\\[t\\] expected .*, given .*\\(line \\d+, column \\d+, byte \\d+\\)");
    }

    @Test
    void positionsAreExact() {
        assertThatThrownBy(() -> parse("{\n  \"é\": 1,\n  \"b\": x\n}"))
                .hasMessage("[t] expected a JSON value, given 'x' (line 3, column 8, byte 20)");
    }

    @Test
    void nestingIsLimited() {
        assertThat(parse("[".repeat(Json.MAX_DEPTH) + "]".repeat(Json.MAX_DEPTH))).isInstanceOf(Json.Arr.class);
        assertThatThrownBy(() -> parse("[".repeat(1_000_000))).isInstanceOf(ConfigException.class)
                .hasMessageContaining("levels of nesting");
        assertThatThrownBy(() -> parse("{\"a\":".repeat(1_000_000))).isInstanceOf(ConfigException.class)
                .hasMessageContaining("levels of nesting");
    }

    @Test
    void loneSurrogatesInTextAreTypedErrors() {
        assertThatThrownBy(() -> parse("\"\uD800\"")).isInstanceOf(ConfigException.class);
        assertThatThrownBy(() -> Json.of("a\uDC00")).isInstanceOf(DataException.class).hasMessageContaining("U+DC00 at index 1");
        assertThatThrownBy(() -> Json.of(Double.NaN)).isInstanceOf(DataException.class);
        assertThatThrownBy(() -> Json.of(Double.POSITIVE_INFINITY)).isInstanceOf(DataException.class);
        assertThatThrownBy(() -> new Json.Num("1 ")).isInstanceOf(DataException.class);
    }

    @Test
    void pythonsInfinityIsReadWhereAsked() {
        ByteBuffer text = StandardCharsets.UTF_8.encode("{\"limit\":[0.0,Infinity,-Infinity,{\"__float__\":\"Infinity\"}]}");
        List<JsonView> limit = JsonView.of(Json.parse(text, Json.Dialect.PYTHON, "t", ConfigException::new), "t", ConfigException::new)
                .at("limit").elements();
        assertThat(limit.stream().map(JsonView::asDouble))
                .containsExactly(0.0, Double.POSITIVE_INFINITY, Double.NEGATIVE_INFINITY, Double.POSITIVE_INFINITY);
        ByteBuffer notANumber = StandardCharsets.UTF_8.encode("[NaN]");
        assertThatThrownBy(() -> Json.parse(notANumber, Json.Dialect.PYTHON, "t", ConfigException::new))
                .isInstanceOf(ConfigException.class);
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', value = {
        "hidden_size | [c] expected an integer at hidden_size, given \"abc\"",
        "missing | [c] expected a member \"missing\", given only [\"hidden_size\", \"layers\", \"big\", \"half\"]",
        "big | [c] expected an integer of 64 bits at big, given 9223372036854775808",
        "half | [c] expected an integer at half, given 0.5"})
    void viewsNameWhatIsWrong(String member, String message) {
        JsonView config = config("{\"hidden_size\":\"abc\",\"layers\":[{\"k\":1}],\"big\":9223372036854775808,\"half\":0.5}");
        assertThatThrownBy(() -> config.at(member).asLong()).isInstanceOf(ConfigException.class).hasMessage(message);
    }

    @Test
    void viewsNamePathsAndUnknownMembers() {
        JsonView config = config("{\"layers\":[{\"kind\":1},{\"kind\":\"m\",\"extra\":null}],\"e\":1e400}");
        assertThatThrownBy(() -> config.at("layers").elements().get(0).at("kind").asString())
                .hasMessage("[c] expected a string at layers[0].kind, given 1");
        assertThatThrownBy(() -> config.at("layers").elements().get(1).allowOnly(Set.of("kind")))
                .hasMessage("[c] expected members among [\"kind\"] at layers[1], given the unknown [\"extra\"]");
        assertThatThrownBy(() -> config.at("e").asDouble()).hasMessageContaining("range of a double");
        assertThat(config.at("layers").elements().get(1).find("extra")).isEmpty();
        assertThatThrownBy(() -> config("{\"n\":7}").at("n").asInt(1, 6)).hasMessage("[c] expected an integer in [1, 6] at n, given 7");
    }

    @Test
    void filesAreReadWithinTheirLimit() throws IOException {
        Path file = Files.writeString(directory.resolve("config.json"), "{\"a\":\"é\"}");
        assertThat(Json.read(file, 100, Json.Dialect.STRICT, CheckpointException::new).write()).isEqualTo("{\"a\":\"é\"}");
        assertThatThrownBy(() -> Json.read(file, 9, Json.Dialect.STRICT, CheckpointException::new)).isInstanceOf(CheckpointException.class)
                .hasMessageContaining("at most 9");
        assertThatThrownBy(() -> Json.read(directory, 9, Json.Dialect.STRICT, CheckpointException::new))
                .isInstanceOf(CheckpointException.class);
        assertThatThrownBy(() -> Json.read(directory.resolve("none"), 9, Json.Dialect.STRICT, ConfigException::new))
                .isInstanceOf(ConfigException.class);
        Path latin = Files.write(directory.resolve("latin.json"), new byte[] {'"', (byte) 0xE9, '"'});
        assertThatThrownBy(() -> Json.read(latin, 9, Json.Dialect.STRICT, ConfigException::new)).isInstanceOf(ConfigException.class)
                .hasMessageContaining("UTF-8");
    }

    @Test
    void javaValuesRoundTrip() {
        Json value = parse("{\"i\":9007199254740993,\"d\":0.1,\"e\":1e3,\"s\":\"x\",\"b\":true,\"n\":null,"
                + "\"l\":[1,{\"__float__\":\"-Infinity\"}],\"o\":{}}");
        Map<?, ?> java = (Map<?, ?>) value.toJava();
        assertThat(java.get("i")).isEqualTo(9007199254740993L);
        assertThat(java.get("e")).isEqualTo(1000.0);
        assertThat(java.get("l")).isEqualTo(List.of(1L, Double.NEGATIVE_INFINITY));
        assertThat(Json.ofJava(java).write()).isEqualTo(value.write().replace("1e3", "1000.0"));
        assertThat(Json.ofJava(List.of(0.1f, 3, Map.of())).write()).isEqualTo("[0.1,3,{}]");
        assertThatThrownBy(() -> Json.ofJava(new Object())).isInstanceOf(DataException.class);
        assertThatThrownBy(() -> parse("[1e999]").toJava()).isInstanceOf(DataException.class);
        assertThatThrownBy(() -> parse("[9223372036854775808]").toJava()).isInstanceOf(DataException.class);
    }

    private static Json parse(String text) {
        return Json.parse(text, "t", ConfigException::new);
    }

    private static JsonView config(String text) {
        return JsonView.of(Json.parse(text, "c", ConfigException::new), "c", ConfigException::new);
    }

    private static Json random(Random random, int depth) {
        return switch (random.nextInt(depth > 4 ? 5 : 7)) {
            case 0 -> Json.NULL;
            case 1 -> Json.of(random.nextBoolean());
            case 2 -> Json.of(random.nextLong());
            case 3 -> Json.of(random.nextGaussian() * Math.pow(10, random.nextInt(600) - 300));
            case 4 -> Json.of(text(random));
            case 5 -> {
                List<Json> elements = new ArrayList<>();
                for (int i = random.nextInt(5); i > 0; i--) {
                    elements.add(random(random, depth + 1));
                }
                yield Json.array(elements);
            }
            default -> {
                Map<String, Json> members = new LinkedHashMap<>();
                for (int i = random.nextInt(5); i > 0; i--) {
                    members.put(text(random), random(random, depth + 1));
                }
                yield new Json.Obj(members);
            }
        };
    }

    private static String text(Random random) {
        StringBuilder text = new StringBuilder();
        int[] limits = {0x20, 0x80, 0x800, 0xD800, 0x110000};
        for (int i = random.nextInt(12); i > 0; i--) {
            int c = random.nextInt(limits[random.nextInt(limits.length)]);
            text.appendCodePoint(c >= 0xD800 && c < 0xE000 ? 'x' : c);
        }
        return text.toString();
    }
}
