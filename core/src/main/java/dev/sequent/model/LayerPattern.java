package dev.sequent.model;

import dev.sequent.type.ConfigException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * Ways to write down which layer stands where: a hybrid is data.
 *
 * <pre>{@code
 * List<LayerSpec> layers = LayerPattern.parse("MMMAMMMA", Map.of('M', mamba, 'A', attention));
 * }</pre>
 */
public final class LayerPattern {
    /** Most layers of a model. */
    public static final int MAX_LAYERS = 10_000;

    private LayerPattern() {}

    /**
     * One layer per letter. A number after a letter or a parenthesis repeats it: {@code (M3A)2} is {@code MMMAMMMA}. Blanks are ignored.
     *
     * @param letters what each letter stands for; digits, parentheses and blanks cannot be letters
     * @throws ConfigException for a letter that stands for nothing, unbalanced parentheses, no layer, or more than 10,000
     */
    public static List<LayerSpec> parse(String pattern, Map<Character, LayerSpec> letters) {
        for (char c : letters.keySet()) {
            if (c == '(' || c == ')' || Character.isDigit(c) || Character.isWhitespace(c)) {
                throw new ConfigException("layer pattern", "letters other than digits, parentheses and blanks", "'" + c + "'");
            }
        }
        Parser parser = new Parser(pattern, letters);
        List<LayerSpec> layers = parser.sequence(0);
        if (layers.isEmpty()) {
            throw new ConfigException("layer pattern", "at least one layer", "'" + pattern + "'");
        }
        return List.copyOf(layers);
    }

    /** {@code special} at layers i with {@code i % period == offset}, {@code other} elsewhere, as in Jamba's configuration. */
    public static List<LayerSpec> periodic(int layers, int period, int offset, LayerSpec special, LayerSpec other) {
        if (layers < 1 || layers > MAX_LAYERS || period < 1 || offset < 0 || offset >= period) {
            throw new ConfigException("layer pattern", "1 <= layers <= " + MAX_LAYERS + ", period >= 1 and 0 <= offset < period",
                    layers + ", " + period + ", " + offset);
        }
        List<LayerSpec> list = new ArrayList<>();
        for (int i = 0; i < layers; i++) {
            list.add(i % period == offset ? special : other);
        }
        return List.copyOf(list);
    }

    /** {@code layers} equal ones. */
    public static List<LayerSpec> repeat(int layers, LayerSpec layer) {
        return periodic(layers, 1, 0, layer, layer);
    }

    private static final class Parser {
        private static final int MAX_DEPTH = 100;
        private final String text;
        private final Map<Character, LayerSpec> letters;
        private int at;

        Parser(String text, Map<Character, LayerSpec> letters) {
            this.text = text;
            this.letters = letters;
        }

        List<LayerSpec> sequence(int depth) {
            List<LayerSpec> out = new ArrayList<>();
            while (at < text.length() && text.charAt(at) != ')') {
                if (Character.isWhitespace(text.charAt(at))) {
                    at++;
                    continue;
                }
                List<LayerSpec> item = item(depth);
                int times = count();
                for (int i = 0; i < times; i++) {
                    out.addAll(item);
                    if (out.size() > MAX_LAYERS) {
                        throw error("at most " + MAX_LAYERS + " layers");
                    }
                }
            }
            boolean closing = at < text.length();
            if (closing != depth > 0) {
                throw error("balanced parentheses");
            }
            return out;
        }

        private List<LayerSpec> item(int depth) {
            char c = text.charAt(at);
            if (c == '(') {
                if (depth == MAX_DEPTH) {
                    throw error("at most " + MAX_DEPTH + " parentheses inside each other");
                }
                at++;
                List<LayerSpec> inner = sequence(depth + 1);
                at++;
                return inner;
            }
            if (!letters.containsKey(c)) {
                throw error("letters among " + new TreeMap<>(letters).keySet() + ", parentheses and counts after them");
            }
            at++;
            return List.of(letters.get(c));
        }

        private int count() {
            int start = at;
            while (at < text.length() && text.charAt(at) >= '0' && text.charAt(at) <= '9') {
                at++;
            }
            if (start == at) {
                return 1;
            }
            int times = at - start > 6 ? 0 : Integer.parseInt(text.substring(start, at));
            if (times < 1) {
                throw error("a count in [1, " + MAX_LAYERS + "]");
            }
            return times;
        }

        private ConfigException error(String expected) {
            return new ConfigException("layer pattern", expected, "'" + text + "' at position " + at);
        }
    }
}
