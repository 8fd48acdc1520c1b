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
    private LayerPattern() {}

    /** One layer per letter. A number after a letter or a parenthesis repeats it: {@code (M3A)2} is {@code MMMAMMMA}. Blanks are ignored. */
    public static List<LayerSpec> parse(String pattern, Map<Character, LayerSpec> letters) {
        Parser parser = new Parser(pattern, letters);
        List<LayerSpec> layers = parser.sequence(0);
        if (layers.isEmpty()) {
            throw new ConfigException("layer pattern", "at least one layer", "'" + pattern + "'");
        }
        return List.copyOf(layers);
    }

    /** {@code special} at layers i with {@code i % period == offset}, {@code other} elsewhere, as in Jamba's configuration. */
    public static List<LayerSpec> periodic(int layers, int period, int offset, LayerSpec special, LayerSpec other) {
        if (layers < 1 || period < 1 || offset < 0 || offset >= period) {
            throw new ConfigException("layer pattern", "layers >= 1, period >= 1 and 0 <= offset < period", layers + ", " + period + ", " + offset);
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
        private static final int MAX_LAYERS = 10_000;
        private final String text;
        private final Map<Character, LayerSpec> letters;
        private int at;

        Parser(String text, Map<Character, LayerSpec> letters) {
            this.text = text;
            this.letters = letters;
        }

        List<LayerSpec> sequence(int depth) {
            List<LayerSpec> out = new ArrayList<>();
            while (at < text.length()) {
                char c = text.charAt(at);
                List<LayerSpec> item;
                if (c == ')') {
                    if (depth == 0) {
                        throw error("balanced parentheses");
                    }
                    return out;
                }
                at++;
                if (Character.isWhitespace(c)) {
                    continue;
                } else if (c == '(') {
                    item = sequence(depth + 1);
                    if (at >= text.length()) {
                        throw error("balanced parentheses");
                    }
                    at++;
                } else if (letters.containsKey(c)) {
                    item = List.of(letters.get(c));
                } else {
                    throw error("letters among " + new TreeMap<>(letters).keySet() + " and parentheses");
                }
                int times = count();
                for (int i = 0; i < times; i++) {
                    out.addAll(item);
                    if (out.size() > MAX_LAYERS) {
                        throw error("at most " + MAX_LAYERS + " layers");
                    }
                }
            }
            return out;
        }

        private int count() {
            int start = at;
            while (at < text.length() && Character.isDigit(text.charAt(at)) && at - start < 6) {
                at++;
            }
            return start == at ? 1 : Integer.parseInt(text.substring(start, at));
        }

        private ConfigException error(String expected) {
            return new ConfigException("layer pattern", expected, "'" + text + "' at position " + at);
        }
    }
}
