package container

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"sync"

	"github.com/containerd/errdefs"
)

// Names that a container gets when it is given none: adjective_surname, as
// docker's, of people whose work made machines, networks and sciences.
var (
	adjectives = strings.Fields(`admiring adoring agile amazing awesome blissful bold brave bright busy calm charming
		clever compassionate confident cool curious dazzling determined dreamy eager ecstatic elated elegant eloquent
		epic exciting fervent festive flamboyant focused friendly frosty gallant gentle gifted goofy gracious happy
		hardcore heuristic hopeful hungry infallible inspiring intelligent interesting jolly jovial keen kind laughing
		loving lucid magical modest musing mystifying naughty nervous nice nifty nostalgic objective optimistic peaceful
		pearly pedantic pensive practical priceless quirky quizzical recursing relaxed reverent romantic serene sharp
		silly sleepy stoic strange sweet tender thirsty trusting unruffled upbeat vibrant vigilant vigorous wizardly
		wonderful xenodochial youthful zealous zen`)
	surnames = strings.Fields(`agnesi albattani allen almeida antonelli archimedes aryabhata austin babbage banach
		banzai bardeen bartik bassi beaver bell benz bhabha bhaskara black blackburn bohr booth borg bose boyd brahmagupta
		brattain brown buck burnell cannon carson cartwright cerf chandrasekhar chaplygin chatelet chaum chebyshev clarke
		cohen colden cori cray curie curran darwin davinci dewdney dhawan diffie dijkstra dirac driscoll easley edison
		einstein elbakyan elgamal elion ellis engelbart euclid euler faraday feistel fermat fermi feynman franklin gagarin
		galileo galois ganguly gates gauss germain goldberg goldstine golick goodall gould greider grothendieck haibt
		hamilton haslett hawking heisenberg hellman hermann herschel hertz heyrovsky hodgkin hofstadter hoover hopper hugle
		hypatia ishizaka jackson jang jemison jennings jepsen johnson joliot jones kalam kapitsa kare keldysh keller kepler
		khayyam khorana kilby kirch knuth kowalevski lalande lamarr lamport leakey leavitt lederberg lehmann lewin
		lichterman liskov lovelace lumiere mahavira margulis matsumoto maxwell mayer mccarthy mcclintock mclaren mclean
		mcnulty meitner mendel mendeleev meninsky merkle mestorf mirzakhani montalcini moore morse moser murdock napier
		nash neumann newton nightingale nobel noether northcutt noyce panini pare pascal pasteur payne perlman pike
		poincare poitras proskuriakova ptolemy raman ramanujan rhodes ride ritchie robinson roentgen rosalind rubin saha
		sammet sanderson satoshi shamir shannon shaw shirley shockley shtern sinoussi snyder solomon spence stonebraker
		sutherland swanson swartz swirles taussig tesla tharp thompson torvalds tu turing varahamihira vaughan villani
		visvesvaraya volhard wescoff wilbur wiles williams williamson wilson wing wozniak wright wu yalow yonath zhukovsky`)
)

// randomName gives a name; from the second try on with a digit, since the first was taken.
func randomName(try int) string {
	name := adjectives[rand.IntN(len(adjectives))] + "_" + surnames[rand.IntN(len(surnames))]
	if try > 0 {
		name += fmt.Sprint(rand.IntN(10))
	}
	return name
}

var validName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_.-]+$`) })

// checkName takes the leading slash off and refuses what docker refuses.
func checkName(name string) (string, error) {
	bare := strings.TrimPrefix(name, "/")
	if !validName().MatchString(bare) {
		return "", errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf("Invalid container name (%s), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed", name))
	}
	return bare, nil
}
