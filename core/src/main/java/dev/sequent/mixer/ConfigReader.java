package dev.sequent.mixer;

import dev.sequent.type.ConfigException;
import java.util.Arrays;
import java.util.Collection;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;

/**
 * Typed reading of configuration values with defaults. {@link #done} rejects keys that nobody asked for, so that a misspelt key is an error
 * and not a default.
 */
public final class ConfigReader {
    private static final int MOST_SHOWN = 200;

    private final String owner;
    private final Map<String, Object> values;
    private final Set<String> asked = new TreeSet<>();

    /** Reads {@code values}; {@code owner} names them in messages. */
    public ConfigReader(String owner, Map<String, Object> values) {
        this.owner = owner;
        this.values = values;
    }

    /** Whether a key is present and not null. */
    public boolean has(String key) {
        asked.add(key);
        return values.get(key) != null;
    }

    /** An integer that must be there. */
    public int integer(String key) {
        require(key, "an integer");
        return integer(key, 0);
    }

    /** An integer in {@code [min, max]} that must be there. */
    public int integer(String key, int min, int max) {
        require(key, "an integer");
        return integer(key, 0, min, max);
    }

    /** An integer in {@code [min, max]}. */
    public int integer(String key, int otherwise, int min, int max) {
        int n = integer(key, otherwise);
        if (n < min || n > max) {
            throw wrong(key, "an integer in [" + min + ", " + max + "]");
        }
        return n;
    }

    private void require(String key, String what) {
        if (!has(key)) {
            throw new ConfigException(owner, what + " for '" + key + "'", "none");
        }
    }

    /** An integer. */
    public int integer(String key, int otherwise) {
        if (!has(key)) {
            return otherwise;
        }
        if (values.get(key) instanceof Number n && n.doubleValue() == n.intValue()) {
            return n.intValue();
        }
        throw wrong(key, "an integer");
    }

    /** A number. */
    public double number(String key, double otherwise) {
        if (!has(key)) {
            return otherwise;
        }
        if (values.get(key) instanceof Number n) {
            return n.doubleValue();
        }
        throw wrong(key, "a number");
    }

    /** A truth value. */
    public boolean flag(String key, boolean otherwise) {
        if (!has(key)) {
            return otherwise;
        }
        if (values.get(key) instanceof Boolean b) {
            return b;
        }
        throw wrong(key, "true or false");
    }

    /** A string. */
    public String text(String key, String otherwise) {
        if (!has(key)) {
            return otherwise;
        }
        if (values.get(key) instanceof String s) {
            return s;
        }
        throw wrong(key, "a string");
    }

    /** An object, or null; its keys are strings. */
    @SuppressWarnings("unchecked")
    public Map<String, Object> object(String key) {
        if (!has(key)) {
            return null;
        }
        if (values.get(key) instanceof Map<?, ?> map) {
            return (Map<String, Object>) map;
        }
        throw wrong(key, "an object");
    }

    /** Requires that a key is absent or null or has one of the values that are implemented. */
    public void only(String key, Object... implemented) {
        if (has(key) && !Arrays.asList(implemented).contains(values.get(key))) {
            throw wrong(key, implemented.length == 1 ? String.valueOf(implemented[0]) : "one of " + Arrays.toString(implemented));
        }
    }

    /** Accepts any value of these keys. */
    public void ignore(Collection<String> keys) {
        asked.addAll(keys);
    }

    /** Any value, or null. */
    public Object raw(String key) {
        asked.add(key);
        return values.get(key);
    }

    /** Fails when there are keys that no method has asked for. */
    public void done() {
        Set<String> unknown = new TreeSet<>(values.keySet());
        unknown.removeAll(asked);
        if (!unknown.isEmpty()) {
            throw new ConfigException(owner, "keys among " + asked, "unknown keys " + brief(unknown.toString()));
        }
    }

    private ConfigException wrong(String key, String expected) {
        return new ConfigException(owner, expected + " for '" + key + "'", brief(String.valueOf(values.get(key))));
    }

    private static String brief(String text) {
        return text.length() <= MOST_SHOWN ? text : text.substring(0, MOST_SHOWN) + "...";
    }
}
