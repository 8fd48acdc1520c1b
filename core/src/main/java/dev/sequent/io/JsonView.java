package dev.sequent.io;

import dev.sequent.type.SequentException;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Function;

/**
 * A JSON value together with where it stands, for reading configurations: every accessor either returns the value or
 * raises one error of the form {@code [config.json] expected an integer at hidden_size, given "abc"}.
 *
 * <pre>{@code
 * JsonView config = JsonView.of(json, "config.json", ConfigException::new);
 * int width = config.at("hidden_size").asInt(1, 1 << 20);
 * boolean tied = config.find("tie_word_embeddings").map(JsonView::asBoolean).orElse(false);
 * }</pre>
 *
 * <p>Immutable.
 */
public final class JsonView {
    static final String FLOAT_TAG = "__float__";

    private final Json value;
    private final String source;
    private final String path;
    private final Function<String, ? extends SequentException> error;

    private JsonView(Json value, String source, String path, Function<String, ? extends SequentException> error) {
        this.value = value;
        this.source = source;
        this.path = path;
        this.error = error;
    }

    /** A view of a whole document; {@code source} and {@code error} say how errors look. */
    public static JsonView of(Json value, String source, Function<String, ? extends SequentException> error) {
        return new JsonView(value, source, "", error);
    }

    /** The value itself. */
    public Json value() {
        return value;
    }

    /** Where the value stands, such as {@code layers[3].kind}; empty for the document itself. */
    public String path() {
        return path;
    }

    /** The member called {@code name}, which must be there. */
    public JsonView at(String name) {
        Json member = members0().get(name);
        if (member == null) {
            throw fail("a member " + JsonWriter.brief(name), "only " + names(members0().keySet()));
        }
        return child(name, member);
    }

    /** The member called {@code name}; empty where it is absent or null. */
    public Optional<JsonView> find(String name) {
        Json member = members0().get(name);
        return member == null || member instanceof Json.Null ? Optional.empty() : Optional.of(child(name, member));
    }

    /** All members in order. */
    public Map<String, JsonView> members() {
        Map<String, JsonView> views = new LinkedHashMap<>();
        members0().forEach((name, member) -> views.put(name, child(name, member)));
        return views;
    }

    /** All elements of an array. */
    public List<JsonView> elements() {
        if (!(value instanceof Json.Arr array)) {
            throw fail("an array", given());
        }
        List<JsonView> views = new ArrayList<>(array.elements().size());
        for (Json element : array.elements()) {
            views.add(new JsonView(element, source, path + "[" + views.size() + "]", error));
        }
        return views;
    }

    /** Requires an object whose member names all occur in {@code known}. */
    public JsonView allowOnly(Collection<String> known) {
        List<String> unknown = members0().keySet().stream().filter(name -> !known.contains(name)).toList();
        if (!unknown.isEmpty()) {
            throw fail("members among " + names(known), "the unknown " + names(unknown));
        }
        return this;
    }

    /** A string. */
    public String asString() {
        if (value instanceof Json.Str s) {
            return s.value();
        }
        throw fail("a string", given());
    }

    /** {@code true} or {@code false}. */
    public boolean asBoolean() {
        if (value instanceof Json.Bool b) {
            return b.value();
        }
        throw fail("true or false", given());
    }

    /** An integer, exactly. */
    public long asLong() {
        if (value instanceof Json.Num n && n.isInteger()) {
            try {
                return Long.parseLong(n.text());
            } catch (NumberFormatException outOfRange) {
                throw fail("an integer of 64 bits", given());
            }
        }
        throw fail("an integer", given());
    }

    /** An integer of 32 bits. */
    public int asInt() {
        return asInt(Integer.MIN_VALUE, Integer.MAX_VALUE);
    }

    /** An integer in {@code [min, max]}. */
    public int asInt(int min, int max) {
        long v = asLong();
        if (v < min || v > max) {
            throw fail("an integer in [" + min + ", " + max + "]", given());
        }
        return (int) v;
    }

    /** A number; infinite only where the text says so, as {@code {"__float__": "Infinity"}}. */
    public double asDouble() {
        if (value instanceof Json.Num n) {
            double v = Double.parseDouble(n.text());
            if (Double.isFinite(v)) {
                return v;
            }
            throw fail("a number within the range of a double", given());
        }
        if (value instanceof Json.Obj o && o.members().size() == 1 && o.members().get(FLOAT_TAG) instanceof Json.Str s) {
            switch (s.value()) {
                case "Infinity" -> {
                    return Double.POSITIVE_INFINITY;
                }
                case "-Infinity" -> {
                    return Double.NEGATIVE_INFINITY;
                }
                default -> throw fail("a number", given());
            }
        }
        throw fail("a number", given());
    }

    /** The error that this value is not what was expected, for checks that only the caller can make. */
    public SequentException mismatch(String expected) {
        return fail(expected, given());
    }

    private Map<String, Json> members0() {
        if (value instanceof Json.Obj o) {
            return o.members();
        }
        throw fail("an object", given());
    }

    private JsonView child(String name, Json member) {
        return new JsonView(member, source, path.isEmpty() ? name : path + "." + name, error);
    }

    private String given() {
        return switch (value) {
            case Json.Obj o -> "an object with " + names(o.members().keySet());
            case Json.Arr a -> "an array of " + a.elements().size();
            case Json.Str s -> JsonWriter.brief(s.value());
            case Json.Num n -> n.text();
            case Json.Bool b -> Boolean.toString(b.value());
            case Json.Null _ -> "null";
        };
    }

    private SequentException fail(String expected, String given) {
        return error.apply("[" + source + "] expected " + expected + (path.isEmpty() ? "" : " at " + path) + ", given " + given);
    }

    static String names(Collection<String> names) {
        StringBuilder list = new StringBuilder("[");
        int shown = 0;
        for (String name : names) {
            if (shown == 20) {
                return list.append(", ... (").append(names.size()).append(" in all)]").toString();
            }
            list.append(shown == 0 ? "" : ", ").append(JsonWriter.brief(name));
            shown++;
        }
        return list.append(']').toString();
    }
}
