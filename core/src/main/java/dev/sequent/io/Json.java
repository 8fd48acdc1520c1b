package dev.sequent.io;

import dev.sequent.type.DataException;
import dev.sequent.type.SequentException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Function;
import java.util.regex.Pattern;

/**
 * A JSON value (RFC 8259), immutable and safe to share between threads.
 *
 * <p>Reading is strict: duplicate member names, lone surrogates, comments, trailing commas, text after the value, invalid
 * UTF-8 and nesting deeper than {@value #MAX_DEPTH} are errors that name line, column and byte. Numbers keep their
 * source text, so that 64-bit integers and round trips are exact. Members keep the order in which they were read or
 * added, and are written in that order. {@link JsonView} reads values with an error message that names the path.
 */
public sealed interface Json {
    /** Deepest nesting of objects and arrays that is read. */
    int MAX_DEPTH = 100;

    /** The value {@code null}. */
    Json NULL = new Null();

    /** What is read besides the standard. */
    enum Dialect {
        /** RFC 8259 and nothing else. */
        STRICT,
        /**
         * Also the words {@code Infinity} and {@code -Infinity}, as Python's {@code json} writes them into configurations. They become the
         * object {@code {"__float__": "Infinity"}}, which newer writers emit themselves and {@link JsonView#asDouble} understands.
         */
        PYTHON
    }

    /** An object: members by name, in order. */
    record Obj(Map<String, Json> members) implements Json {
        /** Copies {@code members}. */
        public Obj {
            members = Collections.unmodifiableMap(new LinkedHashMap<>(members));
            members.forEach((name, value) -> {
                requireText(name);
                requireValue(value);
            });
        }

        /** The member called {@code name}, or empty. */
        public Optional<Json> find(String name) {
            return Optional.ofNullable(members.get(name));
        }

        /** This object with a member added at the end, or replaced in its place. */
        public Obj with(String name, Json value) {
            Map<String, Json> copy = new LinkedHashMap<>(members);
            copy.put(name, value);
            return new Obj(copy);
        }

        @Override
        public String toString() {
            return write();
        }
    }

    /** An array. */
    record Arr(List<Json> elements) implements Json {
        /** Copies {@code elements}. */
        public Arr {
            elements = Collections.unmodifiableList(new ArrayList<>(elements));
            elements.forEach(Json::requireValue);
        }

        @Override
        public String toString() {
            return write();
        }
    }

    /** A string without lone surrogates. */
    record Str(String value) implements Json {
        /** Checks {@code value}. */
        public Str {
            requireText(value);
        }

        @Override
        public String toString() {
            return write();
        }
    }

    /** A number as it was written; {@code 1} and {@code 1.0} are different values. */
    record Num(String text) implements Json {
        private static final Pattern GRAMMAR = Pattern.compile("-?(?:0|[1-9][0-9]*+)(?:\\.[0-9]++)?(?:[eE][+-]?[0-9]++)?");

        /** Checks {@code text}. */
        public Num {
            if (!GRAMMAR.matcher(text).matches()) {
                throw new DataException("json", "a number", JsonWriter.brief(text));
            }
        }

        /** True when the text has neither fraction nor exponent. */
        public boolean isInteger() {
            return text.chars().allMatch(c -> c == '-' || c >= '0' && c <= '9');
        }

        @Override
        public String toString() {
            return text;
        }
    }

    /** {@code true} or {@code false}. */
    record Bool(boolean value) implements Json {
        @Override
        public String toString() {
            return write();
        }
    }

    /** {@code null}; use {@link Json#NULL}. */
    record Null() implements Json {
        @Override
        public String toString() {
            return write();
        }
    }

    /** An object without members, to be grown by {@link Obj#with}. */
    static Obj object() {
        return new Obj(Map.of());
    }

    /** An array of {@code elements}. */
    static Arr array(Collection<? extends Json> elements) {
        return new Arr(new ArrayList<>(elements));
    }

    /** An array of integers. */
    static Arr array(long... values) {
        List<Json> list = new ArrayList<>(values.length);
        for (long v : values) {
            list.add(of(v));
        }
        return new Arr(list);
    }

    /** An array of strings. */
    static Arr strings(Collection<String> values) {
        return new Arr(values.stream().<Json>map(Str::new).toList());
    }

    /** A string. */
    static Str of(String value) {
        return new Str(value);
    }

    /** An integer. */
    static Num of(long value) {
        return new Num(Long.toString(value));
    }

    /** A finite number; its text reads back as the same double. */
    static Num of(double value) {
        if (!Double.isFinite(value)) {
            throw new DataException("json", "a finite number", Double.toString(value));
        }
        return new Num(Double.toString(value));
    }

    /**
     * Ordinary Java values as JSON: maps with string keys, collections, strings, booleans, integers, finite floats, null, and
     * infinities, which become {@code {"__float__": "Infinity"}}. The inverse of {@link #toJava}.
     */
    static Json ofJava(Object value) {
        return switch (value) {
            case null -> NULL;
            case Json json -> json;
            case String s -> of(s);
            case Boolean b -> of(b.booleanValue());
            case Double d when d.isInfinite() -> object().with(JsonView.FLOAT_TAG, of(d > 0 ? "Infinity" : "-Infinity"));
            case Double d -> of(d.doubleValue());
            case Float f -> ofJava(Double.parseDouble(f.toString()));
            case Long n -> of(n.longValue());
            case Integer n -> of(n.longValue());
            case Collection<?> c -> array(c.stream().map(Json::ofJava).toList());
            case Map<?, ?> map -> {
                Map<String, Json> members = new LinkedHashMap<>();
                map.forEach((k, v) -> members.put(String.valueOf(k), ofJava(v)));
                yield new Obj(members);
            }
            default -> throw new DataException("json", "a map, collection, string, number or boolean", value.getClass().getName());
        };
    }

    /** A truth value. */
    static Bool of(boolean value) {
        return new Bool(value);
    }

    /**
     * Reads one value from text.
     *
     * @param source what the text is, for messages, such as a file name
     * @param error  makes the exception from its message, such as {@code ConfigException::new}
     */
    static Json parse(String text, String source, Function<String, ? extends SequentException> error) {
        try {
            requireText(text);
        } catch (DataException loneSurrogate) {
            throw error.apply("[" + source + "] " + loneSurrogate.getMessage().substring("[json] ".length()));
        }
        return parse(StandardCharsets.UTF_8.encode(text), Dialect.STRICT, source, error);
    }

    /** Reads one value from the remaining UTF-8 bytes of {@code bytes}, whose position does not change. */
    static Json parse(ByteBuffer bytes, Dialect dialect, String source, Function<String, ? extends SequentException> error) {
        JsonParser parser = new JsonParser(bytes, dialect, source, error);
        Json value = parser.value();
        parser.end();
        return value;
    }

    /** Reads a file that holds one value and at most {@code maxBytes} bytes. */
    static Json read(Path file, long maxBytes, Dialect dialect, Function<String, ? extends SequentException> error) {
        String source = String.valueOf(file.getFileName());
        if (!Files.isRegularFile(file)) {
            throw error.apply("[" + source + "] expected a JSON file, given " + AtomicFiles.describe(file));
        }
        try {
            long size = Files.size(file);
            if (size > maxBytes) {
                throw error.apply("[" + source + "] expected at most " + maxBytes + " bytes of JSON, given " + size + " in " + file);
            }
            return parse(ByteBuffer.wrap(Files.readAllBytes(file)), dialect, source, error);
        } catch (IOException e) {
            String given = AtomicFiles.describe(file) + ": " + e;
            SequentException failure = error.apply("[" + source + "] expected a readable file, given " + given);
            failure.initCause(e);
            throw failure;
        }
    }

    /** This value on one line without spaces. */
    default String write() {
        return JsonWriter.compact(this);
    }

    /** This value over several lines, indented by two spaces, with a final line feed. */
    default String writePretty() {
        return JsonWriter.pretty(this);
    }

    /**
     * This value as ordinary Java: {@code Map<String, Object>} in order, {@code List<Object>}, String, Boolean, Long for integers of at
     * most 20 characters, Double for other numbers, null.
     *
     * @throws DataException when such an integer has more than 64 bits, or a number is beyond the range of a double
     */
    default Object toJava() {
        JsonView view = JsonView.of(this, "json", DataException::new);
        return switch (this) {
            case Obj o when o.members().size() == 1 && o.members().containsKey(JsonView.FLOAT_TAG) -> (Object) view.asDouble();
            case Obj o -> {
                Map<String, Object> map = new LinkedHashMap<>();
                o.members().forEach((name, member) -> map.put(name, member.toJava()));
                yield map;
            }
            case Arr a -> {
                List<Object> list = new ArrayList<>();
                a.elements().forEach(element -> list.add(element.toJava()));
                yield list;
            }
            case Str s -> s.value();
            case Num n when n.isInteger() && n.text().length() <= 20 -> (Object) view.asLong();
            case Num _ -> (Object) view.asDouble();
            case Bool b -> b.value();
            case Null _ -> null;
        };
    }

    private static void requireValue(Json value) {
        if (value == null) {
            throw new DataException("json", "a value (Json.NULL for null)", "a Java null");
        }
    }

    private static String requireText(String text) {
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            if (Character.isSurrogate(c)) {
                boolean pair = Character.isHighSurrogate(c) && i + 1 < text.length() && Character.isLowSurrogate(text.charAt(i + 1));
                if (!pair) {
                    throw new DataException("json", "text of whole characters",
                            String.format("a lone surrogate U+%04X at index %d", (int) c, i));
                }
                i++;
            }
        }
        return text;
    }
}
