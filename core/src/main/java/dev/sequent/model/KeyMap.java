package dev.sequent.model;

import dev.sequent.tensor.Tensor;
import dev.sequent.type.ConfigException;
import dev.sequent.type.Shape;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.UnaryOperator;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Where a model's parameters stand in a checkpoint, as rules on names. In a rule {@code #} stands for a number (of a layer) and {@code *}
 * for any rest; the first rule that matches a parameter counts.
 *
 * <pre>{@code
 * KeyMap.builder().optionalPrefix("transformer.")
 *         .same("layers.#.norm.*", "transformer.h.#.ln_1.*")
 *         .transposed("layers.#.mlp.c_fc.*", "transformer.h.#.mlp.c_fc.*")
 *         .joinedTransposed("transformer.h.#.attn.c_attn.weight", "layers.#.mixer.q_proj.weight", "layers.#.mixer.k_proj.weight",
 *                 "layers.#.mixer.v_proj.weight")
 *         .ignored("transformer.h.#.attn.bias").build();
 * }</pre>
 *
 * <p>Immutable.
 */
public final class KeyMap {
    private final List<Rule> rules;
    private final List<Template> ignored;
    private final Map<String, String> copies;
    private final List<Alias> aliases;
    private final String prefix;

    private KeyMap(Builder from) {
        this.rules = List.copyOf(from.rules);
        this.ignored = List.copyOf(from.ignored);
        this.copies = Map.copyOf(from.copies);
        this.aliases = List.copyOf(from.aliases);
        this.prefix = from.prefix;
    }

    /** A map without rules, to be filled. */
    public static Builder builder() {
        return new Builder();
    }

    /** Collects rules. Not safe for use by several threads. */
    public static final class Builder {
        private final List<Rule> rules = new ArrayList<>();
        private final List<Template> ignored = new ArrayList<>();
        private final Map<String, String> copies = new LinkedHashMap<>();
        private final List<Alias> aliases = new ArrayList<>();
        private String prefix = "";

        private Builder() {}

        /** A parameter is stored as it is, under another name. */
        public Builder same(String parameter, String key) {
            return rule(List.of(parameter), key, Layout.SAME);
        }

        /** A matrix (out, in) is stored as (in, out); vectors as they are. */
        public Builder transposed(String parameter, String key) {
            return rule(List.of(parameter), key, Layout.TRANSPOSED);
        }

        /** Parameters are stored one below the other along their first axis, as one tensor. */
        public Builder joined(String key, String... parameters) {
            return rule(List.of(parameters), key, Layout.SAME);
        }

        /** As {@link #joined}, and the resulting matrix (out, in) is stored as (in, out); vectors as they are. */
        public Builder joinedTransposed(String key, String... parameters) {
            return rule(List.of(parameters), key, Layout.TRANSPOSED);
        }

        private Builder rule(List<String> parameters, String key, Layout layout) {
            rules.add(new Rule(parameters.stream().map(Template::new).toList(), key, layout));
            return this;
        }

        /** A tensor that may be stored and is not read, such as a buffer. */
        public Builder ignored(String key) {
            ignored.add(new Template(key));
            return this;
        }

        /** A tensor that may be stored and then must equal a parameter, such as the head of a model that ties it to the embedding. */
        public Builder copy(String key, String parameter) {
            copies.put(key, parameter);
            return this;
        }

        /** Keys that start with {@code start} may start with {@code other} instead. */
        public Builder alias(String start, String other) {
            aliases.add(new Alias(start, other));
            return this;
        }

        /** All keys that start with {@code start} may lack it, as in checkpoints of a model without its head. */
        public Builder optionalPrefix(String start) {
            prefix = start;
            return this;
        }

        /** The map. */
        public KeyMap build() {
            return new KeyMap(this);
        }
    }

    /** How a tensor in a file differs from our parameter. */
    enum Layout { SAME, TRANSPOSED }

    private record Alias(String start, String other) {}

    private record Rule(List<Template> parameters, String key, Layout layout) {}

    /** A name with places for a number and for any rest. */
    private record Template(String text, Pattern pattern) {
        Template(String text) {
            this(text, Pattern.compile(Pattern.quote(text).replace("#", "\\E(0|[1-9][0-9]{0,8})\\Q").replace("*", "\\E(.+)\\Q")));
        }

        /** What stands in the places of {@code name}, or null where it does not match. */
        List<String> match(String name) {
            Matcher m = pattern.matcher(name);
            if (!m.matches()) {
                return null;
            }
            List<String> found = new ArrayList<>();
            for (int i = 1; i <= m.groupCount(); i++) {
                found.add(m.group(i));
            }
            return found;
        }

        static String fill(String text, List<String> found) {
            StringBuilder name = new StringBuilder();
            int next = 0;
            for (int i = 0; i < text.length(); i++) {
                char c = text.charAt(i);
                if (c == '#' || c == '*') {
                    name.append(found.get(next++));
                } else {
                    name.append(c);
                }
            }
            return name.toString();
        }
    }

    /**
     * A stored tensor and the parameters that it holds.
     *
     * @param parameters our names, in the order in which they are joined
     * @param key name in the file
     * @param shape shape in the file
     */
    record Slot(List<String> parameters, String key, Layout layout, Shape shape) {}

    /**
     * The place of one parameter.
     *
     * @param key name of the stored tensor
     * @param view from the stored tensor, or one of its shape, to one of the parameter's shape
     */
    public record Place(String key, UnaryOperator<Tensor> view) {}

    /** The places of all parameters of a model, whose names and shapes are given. */
    public Map<String, Place> places(Map<String, Shape> parameters) {
        Map<String, Place> places = new LinkedHashMap<>();
        for (Slot slot : slots(parameters)) {
            long at = 0;
            for (String name : slot.parameters()) {
                long from = at;
                long to = from + (slot.parameters().size() == 1 ? 0 : parameters.get(name).dim(0));
                places.put(name, new Place(slot.key(), stored -> {
                    Tensor own = slot.layout() == Layout.TRANSPOSED && stored.rank() == 2 ? stored.transpose(0, 1) : stored;
                    return to == from ? own : own.slice(0, from, to);
                }));
                at = to;
            }
        }
        return places;
    }

    /** Where each of {@code parameters} stands. */
    List<Slot> slots(Map<String, Shape> parameters) {
        List<Slot> slots = new ArrayList<>();
        Set<String> done = new HashSet<>();
        for (String name : parameters.keySet()) {
            if (!done.contains(name)) {
                Slot slot = slot(name, parameters);
                done.addAll(slot.parameters());
                slots.add(slot);
            }
        }
        return slots;
    }

    private Slot slot(String name, Map<String, Shape> parameters) {
        for (Rule rule : rules) {
            List<String> found = rule.parameters().getFirst().match(name);
            if (found != null) {
                List<String> names = rule.parameters().stream().map(t -> Template.fill(t.text(), found)).toList();
                if (!parameters.keySet().containsAll(names)) {
                    throw new ConfigException("key map", "parameters " + names, "a model without one of them");
                }
                return new Slot(names, Template.fill(rule.key(), found), rule.layout(), shape(names, rule.layout(), parameters));
            }
        }
        throw new ConfigException("key map", "a rule for each parameter of the model", "none for " + name);
    }

    private static Shape shape(List<String> names, Layout layout, Map<String, Shape> parameters) {
        long[] first = parameters.get(names.getFirst()).toArray();
        for (String other : names.subList(1, names.size())) {
            first[0] = Math.addExact(first[0], parameters.get(other).dim(0));
        }
        return layout == Layout.TRANSPOSED && first.length == 2 ? Shape.of(first[1], first[0]) : Shape.of(first);
    }

    /** Whether a stored tensor may be there and is not read. */
    boolean isIgnored(String key) {
        return ignored.stream().anyMatch(t -> t.match(key) != null || !prefix.isEmpty() && t.match(prefix + key) != null);
    }

    /** Keys that may be stored and then equal a parameter. */
    Map<String, String> copies() {
        return copies;
    }

    /** Whether the tensors called {@code stored} lack the optional prefix. */
    boolean isBare(Set<String> stored) {
        return !prefix.isEmpty() && stored.stream().noneMatch(n -> n.startsWith(prefix));
    }

    /** The name under which {@code key} stands among {@code stored}; {@code key} itself where it does not. */
    String find(String key, Set<String> stored, boolean bare) {
        if (stored.contains(key)) {
            return key;
        }
        List<String> candidates = new ArrayList<>(List.of(key));
        aliases.stream().filter(a -> key.startsWith(a.start())).forEach(a -> candidates.add(a.other() + key.substring(a.start().length())));
        for (String candidate : candidates) {
            String name = bare && candidate.startsWith(prefix) ? candidate.substring(prefix.length()) : candidate;
            if (stored.contains(name)) {
                return name;
            }
        }
        return key;
    }
}
