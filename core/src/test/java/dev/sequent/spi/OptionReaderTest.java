package dev.sequent.spi;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.sequent.type.ConfigException;
import java.util.Map;
import org.junit.jupiter.api.Test;

class OptionReaderTest {
    @Test
    void missingOptionsHaveDefaults() {
        OptionReader r = new OptionReader("cpu", Map.of("threads", "3"));
        assertThat(r.number("threads", 1, 8, 1)).isEqualTo(3);
        assertThat(r.number("blocks", 1, 8, 5)).isEqualTo(5);
        assertThat(r.flag("poison", true)).isTrue();
        assertThat(r.choice("vector", "auto", "auto", "off")).isEqualTo("auto");
        assertThat(r.memoryLimit()).isPositive();
        r.done();
    }

    @Test
    void wrongValuesAreNamed() {
        OptionReader r = new OptionReader("cpu", Map.of("threads", "9", "blocks", "many", "poison", "yes"));
        assertThatThrownBy(() -> r.number("threads", 1, 8, 1)).isInstanceOf(ConfigException.class)
                .hasMessage("[open cpu] expected threads in [1, 8], given 9");
        assertThatThrownBy(() -> r.number("blocks", 1, 8, 1)).isInstanceOf(ConfigException.class)
                .hasMessage("[open cpu] expected a number for option blocks, given many");
        assertThatThrownBy(() -> r.flag("poison", false)).isInstanceOf(ConfigException.class)
                .hasMessage("[open cpu] expected poison to be true or false, given yes");
    }

    @Test
    void unknownOptionsAreRefused() {
        OptionReader r = new OptionReader("cpu", Map.of("thread", "2", "poison", "true"));
        r.number("threads", 1, 8, 1);
        r.flag("poison", false);
        assertThatThrownBy(r::done).isInstanceOf(ConfigException.class)
                .hasMessage("[open cpu] expected options among threads, poison, given [thread]");
    }
}
