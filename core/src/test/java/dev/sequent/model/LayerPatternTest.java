package dev.sequent.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.sequent.mixer.LeakyIntegrator;
import dev.sequent.type.ConfigException;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.CharRange;
import net.jqwik.api.constraints.StringLength;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Patterns of letters, counts and parentheses, and what is wrong with others. */
class LayerPatternTest {
    private static final LayerSpec M = LayerSpec.of(new LeakyIntegrator.Config(1));
    private static final LayerSpec A = LayerSpec.of(new LeakyIntegrator.Config(2));
    private static final Map<Character, LayerSpec> LETTERS = Map.of('M', M, 'A', A);

    private static String written(List<LayerSpec> layers) {
        return layers.stream().map(l -> l == M ? "M" : "A").collect(Collectors.joining());
    }

    @ParameterizedTest
    @CsvSource({"M,M", "MMMA,MMMA", "M3A,MMMA", "(M3A)2,MMMAMMMA", "' M3 A ',MMMA", "(MA),MA", "((MA)2M)2A,MAMAMMAMAMA",
            "M12,MMMMMMMMMMMM", "()M,M"})
    void patternsSpellLayers(String pattern, String expected) {
        assertThat(written(LayerPattern.parse(pattern, LETTERS))).isEqualTo(expected);
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "  ", "()", "X", "m", "(MA", "MA)", "M(A))(", "3M", "M 3", "M0", "M-1", "M1000000000000", "M9999M9999",
            "((M99)99)99", "M\u0663"})
    void otherPatternsAreRefused(String pattern) {
        assertThatThrownBy(() -> LayerPattern.parse(pattern, LETTERS)).isInstanceOf(ConfigException.class)
                .hasMessageContaining("layer pattern");
    }

    @Test
    void messagesSayWhere() {
        assertThatThrownBy(() -> LayerPattern.parse("MMX", LETTERS)).hasMessageContaining("[A, M]")
                .hasMessageContaining("'MMX' at position 2");
    }

    @Test
    void deepNestingIsAnErrorAndNoOverflow() {
        String deep = "(".repeat(1_000_000);
        assertThatThrownBy(() -> LayerPattern.parse(deep, LETTERS)).isInstanceOf(ConfigException.class);
    }

    @Test
    void lettersThatMeanSomethingElseAreRefused() {
        assertThatThrownBy(() -> LayerPattern.parse("M", Map.of('3', M))).isInstanceOf(ConfigException.class);
    }

    @Property(tries = 300)
    void anyTextEitherParsesOrIsAConfigError(@ForAll @StringLength(max = 12) @CharRange(from = '(', to = 'N') String pattern) {
        try {
            assertThat(LayerPattern.parse(pattern, LETTERS)).isNotEmpty();
        } catch (ConfigException expected) {
            assertThat(expected).hasMessageContaining("layer pattern");
        }
    }

    @Test
    void periodicLayersStandWhereJambaPutsThem() {
        assertThat(written(LayerPattern.periodic(8, 4, 1, A, M))).isEqualTo("MAMMMAMM");
        assertThat(written(LayerPattern.repeat(3, A))).isEqualTo("AAA");
        assertThatThrownBy(() -> LayerPattern.periodic(8, 4, 4, A, M)).isInstanceOf(ConfigException.class);
        assertThatThrownBy(() -> LayerPattern.repeat(0, A)).isInstanceOf(ConfigException.class);
    }

    @Test
    void moreLayersThanAModelMayHaveAreRefusedBeforeTheyAreListed() {
        LayerSpec layer = LayerSpec.of(new LeakyIntegrator.Config(1));
        assertThat(LayerPattern.repeat(LayerPattern.MAX_LAYERS, layer)).hasSize(LayerPattern.MAX_LAYERS);
        assertThatThrownBy(() -> LayerPattern.repeat(Integer.MAX_VALUE, layer)).isInstanceOf(ConfigException.class);
    }
}
