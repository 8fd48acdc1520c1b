package dev.sequent.mixer;

import dev.sequent.type.ConfigException;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;

/**
 * Typed reading of configuration values with defaults. {@link #done} rejects keys that nobody asked for, so that a misspelt key is an error
 * and not a default.
 */
public final class ConfigReader {
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
            throw new ConfigException(owner, "keys among " + asked, "unknown keys " + unknown);
        }
    }

    private ConfigException wrong(String key, String expected) {
        return new ConfigException(owner, expected + " for '" + key + "'", String.valueOf(values.get(key)));
    }
}
