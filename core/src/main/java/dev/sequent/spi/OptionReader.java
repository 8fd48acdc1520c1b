package dev.sequent.spi;

import com.sun.management.OperatingSystemMXBean;
import dev.sequent.type.ConfigException;
import java.lang.management.ManagementFactory;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeSet;

/**
 * Reads the options with which a backend is opened, and refuses what it does not know. Ask for every option by name, then call
 * {@link #done}. Not thread-safe.
 *
 * <pre>{@code
 * OptionReader r = new OptionReader("cpu", options);
 * long threads = r.number("threads", 1, 1024, 1);
 * boolean poison = r.flag("poison", false);
 * r.done();
 * }</pre>
 */
public final class OptionReader {
    private final String op;
    private final Map<String, String> options;
    private final List<String> known = new ArrayList<>();

    /** Reads the options of the backend called {@code backend}. */
    public OptionReader(String backend, Map<String, String> options) {
        this.op = "open " + backend;
        this.options = Map.copyOf(options);
    }

    /** The text of an option, empty when it is missing. */
    public Optional<String> text(String name) {
        known.add(name);
        return Optional.ofNullable(options.get(name));
    }

    /**
     * A whole number.
     *
     * @param otherwise the value of a missing option
     * @throws ConfigException when it is no number in {@code [least, most]}
     */
    public long number(String name, long least, long most, long otherwise) {
        String value = text(name).orElse(null);
        if (value == null) {
            return otherwise;
        }
        try {
            long n = Long.parseLong(value);
            if (n >= least && n <= most) {
                return n;
            }
        } catch (NumberFormatException e) {
            throw new ConfigException("[" + op + "] expected a number for option " + name + ", given " + value, e);
        }
        throw new ConfigException(op, name + " in [" + least + ", " + most + "]", value);
    }

    /**
     * One of some words.
     *
     * @param otherwise the value of a missing option
     * @throws ConfigException when it is another word
     */
    public String choice(String name, String otherwise, String... words) {
        String value = text(name).orElse(otherwise);
        if (!List.of(words).contains(value)) {
            throw new ConfigException(op, name + " to be " + String.join(" or ", words), value);
        }
        return value;
    }

    /** True or false; {@code otherwise} when it is missing. */
    public boolean flag(String name, boolean otherwise) {
        return Boolean.parseBoolean(choice(name, otherwise + "", "true", "false"));
    }

    /**
     * The option {@code memoryLimit}, in bytes. Without it nine tenths of the memory of the machine or container: an exception comes
     * before the operating system kills the process.
     */
    public long memoryLimit() {
        OperatingSystemMXBean system = ManagementFactory.getPlatformMXBean(OperatingSystemMXBean.class);
        return number("memoryLimit", 1, Long.MAX_VALUE, system == null ? Long.MAX_VALUE : system.getTotalMemorySize() / 10 * 9);
    }

    /**
     * Ends the reading.
     *
     * @throws ConfigException when there are options that nobody asked for
     */
    public void done() {
        TreeSet<String> left = new TreeSet<>(options.keySet());
        known.forEach(left::remove);
        if (!left.isEmpty()) {
            throw new ConfigException(op, "options among " + String.join(", ", known), left.toString());
        }
    }
}
