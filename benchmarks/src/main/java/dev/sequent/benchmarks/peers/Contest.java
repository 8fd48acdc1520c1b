package dev.sequent.benchmarks.peers;

import java.util.LinkedHashMap;
import java.util.Map;
import java.util.stream.Collectors;

/**
 * What is compared: a case of the peer's and its parameters. A name is {@code kernel/NAME}, {@code step/MODEL} or {@code decode/MODEL}, and
 * after an {@code @} which of several peers it is, such as {@code step/transformer@compile}.
 *
 * @param name the peer's name of it
 * @param parameters as the peer's scripts take them: {@code time}, {@code pass}, {@code batch}, {@code context}, {@code threads}
 */
record Contest(String name, Map<String, Object> parameters) {
    private static final String BF16 = "bf16";

    Contest {
        parameters = Map.copyOf(parameters);
    }

    /** {@code kernel}, {@code step} or {@code decode}. */
    String area() {
        return name.substring(0, name.indexOf('/'));
    }

    /** The kernel or model that runs on our side. */
    String subject() {
        String rest = name.substring(name.indexOf('/') + 1);
        return rest.contains("@") ? rest.substring(0, rest.indexOf('@')) : rest;
    }

    /** Which peer: what stands after the {@code @}, else nothing. */
    String variant() {
        return name.contains("@") ? name.substring(name.indexOf('@') + 1) : "";
    }

    /**
     * Whether both sides round alike: training steps in mixed precision meet each other, and where our products of F32 matrices are rounded
     * no peer in F32 does.
     */
    boolean isFair(String products) {
        boolean narrow = name.contains(BF16);
        return products.equals(BF16) ? narrow : !narrow || !area().equals("step");
    }

    int number(String parameter) {
        return (int) parameters.get(parameter);
    }

    /** For example {@code kernel/attention (pass=forward, time=1024)}. */
    @Override
    public String toString() {
        Map<String, Object> shown = new LinkedHashMap<>(new java.util.TreeMap<>(parameters));
        shown.remove("threads");
        return name + shown.entrySet().stream().map(Object::toString).collect(Collectors.joining(", ", " (", ")"));
    }
}
