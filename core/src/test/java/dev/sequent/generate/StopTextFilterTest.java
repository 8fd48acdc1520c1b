package dev.sequent.generate;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Stop texts, however the text arrives. */
class StopTextFilterTest {
    /** The text in front of the first complete stop text, by looking at all prefixes. */
    private static String expected(List<String> stops, String text) {
        for (int end = 1; end <= text.length(); end++) {
            String prefix = text.substring(0, end);
            int longest = stops.stream().filter(prefix::endsWith).mapToInt(String::length).max().orElse(0);
            if (longest > 0) {
                return prefix.substring(0, end - longest);
            }
        }
        return text;
    }

    private static String filtered(List<String> stops, String text, SplittableRandom cuts) {
        StopTextFilter filter = new StopTextFilter(stops);
        StringBuilder out = new StringBuilder();
        for (int at = 0; at < text.length();) {
            int n = Math.min(text.length() - at, cuts.nextInt(4));
            out.append(filter.next(text.substring(at, at + n)));
            assertThat(text).as("never more than the text").startsWith(out.toString());
            at += n;
        }
        return out.append(filter.finish()).toString();
    }

    @Test
    void textEndsBeforeTheFirstStopTextHoweverItIsCut() {
        SplittableRandom random = new SplittableRandom(1);
        int cut = 0;
        for (int trial = 0; trial < 3000; trial++) {
            String text = word(random, 12);
            List<String> stops = List.of(word(random, 3), word(random, 2), word(random, 4)).stream().filter(s -> !s.isEmpty()).toList();
            String expected = expected(stops, text);
            assertThat(filtered(stops, text, random)).as("%s in %s", stops, text).isEqualTo(expected);
            cut += expected.equals(text) ? 0 : 1;
        }
        assertThat(cut).isBetween(500, 2990);
    }

    private static String word(SplittableRandom random, int longest) {
        StringBuilder word = new StringBuilder();
        for (int i = random.nextInt(longest + 1); i > 0; i--) {
            word.append("ab".charAt(random.nextInt(2)));
        }
        return word.toString();
    }

    @ParameterizedTest
    @CsvSource({"END,xxEN,xx", "END,xxENE,xxEN", "END,xEEND,xE", "aab,aaab,a", "STOP,STOP,''", "b|abc,abc,a", "bc|abc,abc,''"})
    void examples(String stops, String text, String passes) {
        StopTextFilter filter = new StopTextFilter(List.of(stops.split("\\|")));
        String out = filter.next(text);
        assertThat(out).isEqualTo(passes);
    }

    @Test
    void whatIsHeldBackPassesAsSoonAsItIsNoStopText() {
        StopTextFilter filter = new StopTextFilter(List.of("<end>"));
        assertThat(filter.next("a<e")).isEqualTo("a");
        assertThat(filter.next("n")).isEmpty();
        assertThat(filter.next("t")).isEqualTo("<ent");
        assertThat(filter.next("<en")).isEmpty();
        assertThat(filter.stopped()).isFalse();
        assertThat(filter.finish()).isEqualTo("<en");
    }

    @Test
    void nothingPassesAfterAStopText() {
        StopTextFilter filter = new StopTextFilter(List.of("b"));
        assertThat(filter.next("abc")).isEqualTo("a");
        assertThat(filter.stopped()).isTrue();
        assertThat(filter.next("more")).isEmpty();
        assertThat(filter.finish()).isEmpty();
    }
}
